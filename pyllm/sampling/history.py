"""Which tokens a sequence has seen, as the columns that repetition penalties read."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Sequence
from itertools import repeat


class TokenHistory:
    """Unique tokens in order of first sight, and how often each was *generated* (0 = prompt only).

    Kept incrementally: a step costs O(1), not O(tokens so far). Arrays of Python's, not NumPy's:
    reading or writing one entry takes a quarter of the time.

    tokens  int32 [unique tokens]
    counts  int32 [unique tokens]: occurrences among the generated tokens
    """

    def __init__(self, prompt: Sequence[int]) -> None:
        self.tokens = array("i", dict.fromkeys(prompt))
        self.counts = array("i", bytes(4 * len(self.tokens)))
        self._slot = {token: slot for slot, token in enumerate(self.tokens)}

    def add(self, token: int) -> None:
        """Count one generated token."""
        slot = self._slot.get(token)
        if slot is None:
            self._slot[token] = len(self.tokens)
            self.tokens.append(token)
            self.counts.append(1)
        else:
            self.counts[slot] += 1

    def after(self, more: Sequence[int]) -> tuple[array[int], array[int]]:
        """`tokens` and `counts` as they would be had `more` been generated; changes nothing."""
        if not more:
            return self.tokens, self.counts
        new = dict[int, int]()  # tokens not seen so far, and their slots
        counts = self.counts + array("i", repeat(0, len(more)))
        for token in more:
            slot = self._slot.get(token)
            if slot is None:
                slot = new.setdefault(token, len(self.tokens) + len(new))
            counts[slot] += 1
        tokens = self.tokens + array("i", new)
        return tokens, counts[: len(tokens)]


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

    def after(self, more: Sequence[int]) -> tuple[array[int], array[int]]:
        if not more or self._size < 0:
            return super().after(more)
        counts = Counter([*self._window, *more][-self._size :])
        return array("i", counts.keys()), array("i", counts.values())

    def _forget(self, token: int) -> None:
        slot = self._slot[token]
        self.counts[slot] -= 1
        if self.counts[slot]:
            return
        # The last slot's token moves into the empty one.
        moved, count = self.tokens.pop(), self.counts.pop()
        if moved != token:
            self.tokens[slot], self.counts[slot] = moved, count
            self._slot[moved] = slot
        del self._slot[token]
