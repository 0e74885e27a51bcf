"""Words a text must not contain: the token that would complete one is forbidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyllm.errors import RequestError
from pyllm.sampling.token_suffixes import TokenSuffixes

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

MAX_BAD_WORDS = 1000  # token sequences, two for each word
MAX_WORD_TOKENS = 256  # the steps of a look at the end of the text, taken for every token

_AT_MOST = f"at most {MAX_BAD_WORDS} token sequences, two for each word"


class BadWords:
    """Token sequences of some words, at the start of a text and after a space (as in vLLM).

    Raises RequestError when a word has no tokens, or too many, or there are too many words.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer) -> None:
        if len(words) > MAX_BAD_WORDS:  # before any is encoded
            raise RequestError("bad_words", len(words), _AT_MOST)
        sequences: dict[tuple[int, ...], None] = {}
        for word in words:
            bare = word.lstrip()
            at_start = tuple(tokenizer.encode(bare, add_special=False))
            if not at_start:
                raise RequestError("bad_words", word, "has no tokens")
            after_space = tuple(tokenizer.encode(" " + bare, add_special=False))
            if max(len(at_start), len(after_space)) > MAX_WORD_TOKENS:
                raise RequestError("bad_words", word, f"at most {MAX_WORD_TOKENS} tokens in a word")
            sequences[at_start] = None
            sequences[after_space] = None
            if len(sequences) > MAX_BAD_WORDS:
                raise RequestError("bad_words", len(words), _AT_MOST)
        self.single_tokens = frozenset(s[0] for s in sequences if len(s) == 1)
        self._beginnings = TokenSuffixes()  # words without their last token, which is the value
        for sequence in sequences:
            if len(sequence) > 1:
                self._beginnings.add(sequence[:-1], sequence[-1])

    @property
    def has_long_ones(self) -> bool:
        """Words of several tokens, which are forbidden only behind their beginning."""
        return bool(self._beginnings)

    def completions(self, tokens: Sequence[int], start: int) -> list[int]:
        """Tokens that would complete a word of several tokens after tokens[start:]."""
        return list(self._beginnings.matches(tokens, start, len(tokens)))
