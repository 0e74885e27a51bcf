"""Counts of values by size, cheap enough for every step of the engine."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

__all__ = ["Distribution", "Histogram"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a histogram held when it was asked.

    bounds  upper bounds of the buckets, ascending; a last bucket holds what is above them all
    counts  values of each bucket: above the bound before it, at most its own
    total   sum of all values
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        return sum(self.counts)

    def __add__(self, other: Self) -> Self:
        """Both together; they must have the same bounds."""
        assert self.bounds == other.bounds
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return type(self)(self.bounds, counts, self.total + other.total)


class Histogram:
    """Written by one thread; any may take a snapshot."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Count `value` so many times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._total += value * times

    def snapshot(self) -> Distribution:
        return Distribution(self._bounds, tuple(self._counts), self._total)
