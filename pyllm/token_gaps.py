"""How long readers waited for a token: the first of a stream, and each that followed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyllm.histogram import Histogram

if TYPE_CHECKING:
    from pyllm.engine.sequence import Sequence

# vLLM's, so that its dashboards and alerts fit.
FIRST_TOKEN_BOUNDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip
NEXT_TOKEN_BOUNDS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0,
)  # fmt: skip


class TokenGaps:
    """Seconds from a request's arrival to its first token, and from step to step after that.

    The streams of a step are mostly those of the step before and waited equally long: then one
    comparison and one bucket serve all of them. Their own times are written when that ends.
    """

    __slots__ = ("_streams", "_time", "first", "following")

    def __init__(self) -> None:
        self.first = Histogram(FIRST_TOKEN_BOUNDS)
        self.following = Histogram(NEXT_TOKEN_BOUNDS)
        self._streams: list[Sequence] = []
        self._time = 0.0

    def add_step(self, streams: list[Sequence], now: float) -> None:
        """`streams` got tokens at `now`, in seconds of `time.perf_counter()`; keeps the list."""
        if streams == self._streams:
            self.following.add(now - self._time, len(streams))
        else:
            for stream in self._streams:
                stream.last_token_time = self._time
            self._add_each(streams, now)
            self._streams = streams
        self._time = now

    def _add_each(self, streams: Iterable[Sequence], now: float) -> None:
        for stream in streams:
            if stream.last_token_time is None:
                self.first.add(now - stream.arrival_time)
            else:
                self.following.add(now - stream.last_token_time)
