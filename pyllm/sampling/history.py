"""Which tokens a sequence has seen, as the columns that repetition penalties read."""

from __future__ import annotations

from collections import Counter, deque
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

    def after(self, more: Sequence[int]) -> tuple[Int32Array, Int32Array]:
        """`tokens` and `counts` as they would be had `more` been generated; changes nothing."""
        if not more:
            return self.tokens, self.counts
        slots = dict[int, int]()  # of tokens not seen so far
        counts = np.concatenate([self.counts, np.zeros(len(more), np.int32)])
        for token in more:
            new = len(self._slot) + len(slots)
            counts[self._slot[token] if token in self._slot else slots.setdefault(token, new)] += 1
        tokens = np.concatenate([self.tokens, np.fromiter(slots, np.int32, len(slots))])
        return tokens, counts[: len(tokens)]

    @property
    def tokens(self) -> Int32Array:
        """int32 [unique tokens]"""
        return self._tokens[: len(self._slot)]

    @property
    def counts(self) -> Int32Array:
        """int32 [unique tokens]: occurrences among the generated tokens"""
        return self._counts[: len(self._slot)]


class WindowHistory(TokenHistory):
    """The last `size` tokens, prompt and output alike, and how often each is among them.

    llama.cpp's penalty window; -1 is the whole sequence.
    """

    def __init__(self, prompt: Sequence[int], size: int) -> None:
        super().__init__(())
        self._window: deque[int] = deque()
        self._size = size
        for token in prompt if size < 0 else prompt[-size:]:
            self.add(token)

    def add(self, token: int) -> None:
        super().add(token)
        self._window.append(token)
        if 0 <= self._size < len(self._window):
            self._forget(self._window.popleft())

    def after(self, more: Sequence[int]) -> tuple[Int32Array, Int32Array]:
        if not more or self._size < 0:
            return super().after(more)
        counts = Counter([*self._window, *more][-self._size :])
        size = len(counts)
        return (
            np.fromiter(counts.keys(), np.int32, size),
            np.fromiter(counts.values(), np.int32, size),
        )

    def _forget(self, token: int) -> None:
        slot = self._slot[token]
        self._counts[slot] -= 1
        if self._counts[slot]:
            return
        # The last slot's token moves into the empty one.
        last = len(self._slot) - 1
        moved = int(self._tokens[last])
        self._tokens[slot], self._counts[slot] = moved, self._counts[last]
        self._counts[last] = 0
        self._slot[moved] = slot
        del self._slot[token]
