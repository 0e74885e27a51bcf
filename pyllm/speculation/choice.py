"""How many guesses of each sequence a step should compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

ON_MARGIN, OFF_MARGIN = 1.01, 1.04  # hysteresis: to begin, guessing must promise more


def best_counts(
    rates: Sequence[float],
    limits: Sequence[int],
    *,
    base: int,
    room: int,
    seconds: Callable[[int], float],
    margin: float,
) -> list[int]:
    """Guesses of each sequence that give the most tokens per second, 0 for those that do not pay.

    rates    chance of a guess of each sequence, if those before it were right
    limits   guesses each sequence offers
    base     tokens of the step without guesses
    room     guesses of all together, at most
    seconds  time of a step with n guesses
    margin   by which guessing must beat not guessing

    The guess most likely to be reached and right is always the next to take, so it is enough to
    compare the first 0, 1, 2, … of that order.
    """
    counts = [0] * len(rates)
    best = counts.copy()
    best_speed = base / seconds(0) * margin
    heap = [(-rate, index) for index, rate in enumerate(rates) if limits[index]]
    heap.sort()
    expected = float(base)
    for number in range(1, min(room, sum(limits)) + 1):
        chance, index = heappop(heap)
        expected -= chance
        counts[index] += 1
        if counts[index] < limits[index]:
            heappush(heap, (chance * rates[index], index))
        speed = expected / seconds(number)
        if speed > best_speed:
            best_speed, best = speed, counts.copy()
    return best
