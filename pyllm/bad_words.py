"""Words a text must not contain: the token that would complete one is forbidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pyllm.errors import RequestError

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

MAX_BAD_WORDS = 1000  # token sequences, two for each word


class BadWords:
    """Token sequences of some words, at the start of a text and after a space (as in vLLM).

    Raises RequestError when a word has no tokens or there are too many of them.
    """

    def __init__(self, words: Iterable[str], tokenizer: Tokenizer) -> None:
        sequences: dict[tuple[int, ...], None] = {}
        for word in words:
            bare = word.lstrip()
            at_start = tuple(tokenizer.encode(bare, add_special=False))
            if not at_start:
                raise RequestError("bad_words", word, "has no tokens")
            sequences[at_start] = None
            sequences[tuple(tokenizer.encode(" " + bare, add_special=False))] = None
        if len(sequences) > MAX_BAD_WORDS:
            limit = f"at most {MAX_BAD_WORDS} token sequences, two for each word"
            raise RequestError("bad_words", len(sequences), limit)
        self.single_tokens = frozenset(s[0] for s in sequences if len(s) == 1)
        # by the token before the last: the words whose end may be near
        self._by_last_but_one: dict[int, list[tuple[int, ...]]] = {}
        for sequence in sequences:
            if len(sequence) > 1:
                self._by_last_but_one.setdefault(sequence[-2], []).append(sequence)

    @property
    def has_long_ones(self) -> bool:
        """Words of several tokens, which are forbidden only behind their beginning."""
        return bool(self._by_last_but_one)

    def completions(self, tokens: Sequence[int], start: int) -> list[int]:
        """Tokens that would complete a word of several tokens after tokens[start:]."""
        words = self._by_last_but_one.get(tokens[-1]) if len(tokens) > start else None
        if words is None:
            return []
        return [
            word[-1]
            for word in words
            if len(tokens) - start >= len(word) - 1
            and tuple(tokens[len(tokens) - len(word) + 1 :]) == word[:-1]
        ]
