"""Which tokens a sequence has seen, as the columns that repetition penalties read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]


class TokenHistory:
    """Unique tokens in order of first sight, and how often each was *generated* (0 = prompt only).

    Kept incrementally: a step costs O(1), not O(tokens so far).
    """

    def __init__(self, prompt: Sequence[int]) -> None:
        unique = list(dict.fromkeys(prompt))
        self._slot = {token: slot for slot, token in enumerate(unique)}
        self._tokens: Int32Array = np.array(unique + [0] * 64, dtype=np.int32)
        self._counts: Int32Array = np.zeros(len(self._tokens), dtype=np.int32)

    def add(self, token: int) -> None:
        """Count one generated token."""
        slot = self._slot.setdefault(token, len(self._slot))
        if slot == len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._tokens[slot] = token
        self._counts[slot] += 1

    @property
    def tokens(self) -> Int32Array:
        """int32 [unique tokens]"""
        return self._tokens[: len(self._slot)]

    @property
    def counts(self) -> Int32Array:
        """int32 [unique tokens]: occurrences among the generated tokens"""
        return self._counts[: len(self._slot)]
