"""How long a step takes by its number of tokens, learned from the steps that run."""

from __future__ import annotations

from bisect import bisect_left, insort

# What a token more costs, as a share of a step of one token: where nothing was measured, and at
# least, whatever a noisy clock says. A 1B model in 4 bits on two cores: 0.07 up to 4 tokens, 0.12
# up to 16.
FIRST_SLOPE, LEAST_SLOPE = 0.07, 0.04
TRUSTED = 3  # measurements before a size is compared with others: the first ones pack weights
STALE = 128  # steps after which a size must be measured again before it is compared
_UP, _DOWN = 0.1, 0.5  # other programs only ever make a step longer, so shorter times weigh more


class StepTimes:
    """Steps whose tokens all have logits: decodes and guesses, no prompts."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._counts: dict[int, int] = {}
        self._measured_at: dict[int, int] = {}
        self._sizes: list[int] = []  # measured, ascending
        self._num_steps = 0

    def record(self, n_tokens: int, seconds: float) -> None:
        """A step of `n_tokens` took `seconds`."""
        seconds = max(seconds, 1e-9)  # a coarse clock may say 0, and costs are compared by ratio
        self._num_steps += 1
        if self._num_steps % STALE == 0:
            self._forget_old()
        self._measured_at[n_tokens] = self._num_steps
        before = self._seconds.get(n_tokens)
        if before is None:
            insort(self._sizes, n_tokens)
            self._seconds[n_tokens], self._counts[n_tokens] = seconds, 1
            return
        self._counts[n_tokens] += 1
        self._seconds[n_tokens] += (seconds - before) * (_UP if seconds > before else _DOWN)

    def _forget_old(self) -> None:
        """A size not seen for long may be wrong by now, and would keep itself from being tried."""
        for size in list(self._sizes):
            if self._num_steps - self._measured_at[size] > STALE:
                self._sizes.remove(size)
                del self._seconds[size], self._counts[size], self._measured_at[size]

    def is_trusted(self, n_tokens: int) -> bool:
        """Measured often, and lately."""
        return (
            self._counts.get(n_tokens, 0) >= TRUSTED
            and self._num_steps - self._measured_at[n_tokens] < STALE
        )

    def estimate(self, n_tokens: int) -> float:
        """Seconds; on a line between sizes that were measured, and hopefully beyond them."""
        known = self._seconds.get(n_tokens)
        if known is not None:
            return known
        sizes, seconds = self._sizes, self._seconds
        place = bisect_left(sizes, n_tokens)
        if place == 0:  # smaller than all: less than the smallest cannot be promised
            return seconds[sizes[0]]
        below = sizes[place - 1]
        if place == len(sizes):
            return seconds[below] + self._slope() * (n_tokens - below)
        above = sizes[place]
        share = (n_tokens - below) / (above - below)
        return seconds[below] + share * (seconds[above] - seconds[below])

    def estimate_more(self, n_tokens: int, more: int) -> float:
        """Seconds of a step of n_tokens + more, not below what `more` must cost."""
        least = self.estimate(n_tokens)
        least += more * LEAST_SLOPE * least / (1 + LEAST_SLOPE * (n_tokens - 1))
        return max(least, self.estimate(n_tokens + more))

    def _slope(self) -> float:
        """Seconds of a token beyond all sizes: the lower of two guesses, as a trial corrects it."""
        first, last = self._sizes[0], self._sizes[-1]
        slope = FIRST_SLOPE * self._seconds[first] / (1 + FIRST_SLOPE * (first - 1))
        if first == last:
            return slope
        return min(slope, max(0.0, self._seconds[last] - self._seconds[first]) / (last - first))
