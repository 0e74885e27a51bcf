"""Which tokens a sequence may choose next: one bit per token of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from llguidance import LLMatcher

# uint32 [ceil(n_vocab / 32)]; bit t % 32 of word t / 32: token t is allowed
Words = npt.NDArray[np.uint32]


class TokenMask(Protocol):
    """Something that may forbid tokens, asked before every token of its sequence."""

    def next_mask(self) -> Words | None:
        """The mask of the next token; None allows everything. Read before the next call."""


class TokenFollower(TokenMask, Protocol):
    """A mask that depends on what was generated."""

    def add(self, token: int) -> None:
        """Take a generated token."""


@dataclass(frozen=True, slots=True)
class UnwrittenMask:
    """A mask that is written while the step runs that needs it."""

    matcher: Callable[[], LLMatcher]  # for the thread that writes: it may have to be compiled
    num_words: int


class AllowedTokens:
    """The same tokens at every place."""

    def __init__(self, ids: Iterable[int], n_vocab: int) -> None:
        self._words = words_of(ids, n_vocab)

    def next_mask(self) -> Words | None:
        return self._words


def num_words(n_vocab: int) -> int:
    return -(-n_vocab // 32)


def words_of(ids: Iterable[int], n_vocab: int) -> Words:
    """The mask that allows exactly `ids`, each below `n_vocab`."""
    allowed = np.zeros(num_words(n_vocab) * 32, np.bool_)
    allowed[list(ids)] = True
    return np.packbits(allowed, bitorder="little").view("<u4").astype(np.uint32, copy=False)


class AllOf:
    """Tokens that several masks allow."""

    def __init__(self, masks: Iterable[TokenMask]) -> None:
        self._masks = tuple(masks)

    def next_mask(self) -> Words | None:
        words: Words | None = None
        for mask in self._masks:
            more = mask.next_mask()
            if more is not None:
                words = more if words is None else words & more
        return words
