"""Token healing: a prompt that ends inside a word goes on as if it had not been cut there.

"http:" as tokens ends in ":", and a model has hardly ever seen ":" followed by "//", because
"://" is one token. The last tokens of the prompt are taken back, and what is generated must begin
with their bytes (Lundberg, "The art of prompt design: prompt boundaries and token healing", 2023).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pyllm.sampling.token_mask import Words, words_of

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

_MAX_TOKENS_BACK = 8  # a token longer than eight others is no word of a language


class TokenSpellings:
    """The tokens of a vocabulary that have a text of their own, sorted by it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.n_vocab = tokenizer.n_vocab
        spelled = sorted(
            (tokenizer.token_bytes(token), token)
            for token in range(tokenizer.n_vocab)
            if not tokenizer.restarts_text(token)
        )
        self._texts = [text for text, _ in spelled]
        self._tokens = [token for _, token in spelled]

    def longer_than(self, text: bytes) -> bool:
        """Whether some token begins with `text` and goes on."""
        first, end = self._range(text)
        return any(len(found) > len(text) for found in self._texts[first:end])

    def towards(self, text: bytes) -> list[int]:
        """Tokens that begin with `text`, or are its beginning."""
        first, end = self._range(text)
        tokens = self._tokens[first:end]
        for length in range(1, len(text)):
            place = bisect_left(self._texts, text[:length])
            while place < len(self._texts) and self._texts[place] == text[:length]:
                tokens.append(self._tokens[place])
                place += 1
        return tokens

    def _range(self, text: bytes) -> tuple[int, int]:
        first = bisect_left(self._texts, text)
        # Bytes above every continuation: no text holds 16 of the byte that UTF-8 never uses.
        return first, bisect_left(self._texts, text + b"\xff" * 16)


_spellings: WeakKeyDictionary[Tokenizer, TokenSpellings] = WeakKeyDictionary()


def spellings_of(tokenizer: Tokenizer) -> TokenSpellings:
    """Made once for a tokenizer: sorting 128k tokens takes a tenth of a second."""
    if tokenizer not in _spellings:
        _spellings[tokenizer] = TokenSpellings(tokenizer)
    return _spellings[tokenizer]


def tokens_to_take_back(tokenizer: Tokenizer, prompt: Sequence[int]) -> int:
    """How many of the last tokens some longer token could have been instead; 0: the cut is clean.

    The first token stays, and what is not text (control tokens) is never taken back.
    """
    spellings = spellings_of(tokenizer)
    text = b""
    count = 0
    for back in range(1, min(_MAX_TOKENS_BACK, len(prompt) - 1) + 1):
        token = prompt[-back]
        if tokenizer.restarts_text(token):
            break
        text = tokenizer.token_bytes(token) + text
        if spellings.longer_than(text):
            count = back
    return count


class HealingMask:
    """Allows what continues `text` until it is written. Part of one sequence."""

    def __init__(self, tokenizer: Tokenizer, text: bytes) -> None:
        self._spellings = spellings_of(tokenizer)
        self._tokenizer = tokenizer
        self._rest = text
        self._words = self._allowed()

    def add(self, token: int) -> None:
        """Take a generated token."""
        if self._rest:
            self._rest = self._rest[len(self._tokenizer.token_bytes(token)) :]
            self._words = self._allowed()

    def next_mask(self) -> Words | None:
        return self._words

    def _allowed(self) -> Words | None:
        if not self._rest:
            return None
        return words_of(self._spellings.towards(self._rest), self._spellings.n_vocab)
