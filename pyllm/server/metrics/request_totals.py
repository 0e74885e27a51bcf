"""What the finished requests of one model took, from what each reports at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import chain

from pyllm.histogram import Histogram
from pyllm.outputs import RequestMetrics, RequestOutput

# vLLM's bounds, so that its dashboards and alerts fit.
LATENCY_BOUNDS = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0,
    240.0, 480.0, 960.0, 1920.0, 7680.0,
)  # fmt: skip
PER_TOKEN_BOUNDS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0,
)  # fmt: skip
# 1, 2, 5, 10, … 1,000,000: vLLM ends at the context's length, which may differ from load to load.
TOKENS_BOUNDS = tuple(
    chain(*((10**e, 2 * 10**e, 5 * 10**e) for e in range(6)), (10**6,)),
)

_RECENT = 64  # requests that the current speeds are averaged over


class Speed:
    """Tokens in seconds: all of them, and those of the last requests."""

    def __init__(self) -> None:
        self.tokens = 0
        self.seconds = 0.0
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT)

    def add(self, tokens: int, seconds: float) -> None:
        """One request's tokens, and the seconds they took."""
        self.tokens += tokens
        self.seconds += seconds
        self._recent.append((tokens, seconds))

    def recent(self) -> Iterable[tuple[int, float]]:
        """(tokens, seconds) of each of the last requests; safe on any thread."""
        return self._recent.copy()


class RequestTotals:
    """Written by one thread, under ten microseconds a request; any may read snapshots."""

    def __init__(self) -> None:
        self.e2e = Histogram(LATENCY_BOUNDS)
        self.queue = Histogram(LATENCY_BOUNDS)
        self.prefill = Histogram(LATENCY_BOUNDS)
        self.decode = Histogram(LATENCY_BOUNDS)
        self.inference = Histogram(LATENCY_BOUNDS)
        self.per_token = Histogram(PER_TOKEN_BOUNDS)
        self.prompt_tokens = Histogram(TOKENS_BOUNDS)
        self.generation_tokens = Histogram(TOKENS_BOUNDS)
        self.reading = Speed()
        self.writing = Speed()

    def add(self, output: RequestOutput) -> None:
        """The last report of a request. What it did not come to is not counted."""
        metrics = output.metrics
        assert metrics is not None
        num_prompt_tokens = len(output.prompt_token_ids)
        self.prompt_tokens.add(num_prompt_tokens)
        self.generation_tokens.add(metrics.num_output_tokens)
        if metrics.finished_time is not None:
            self.e2e.add(metrics.finished_time - metrics.arrival_time)
        if metrics.first_scheduled_time is not None:
            self.queue.add(metrics.first_scheduled_time - metrics.arrival_time)
            self._add_running(metrics, num_prompt_tokens - output.num_cached_tokens)

    def _add_running(self, metrics: RequestMetrics, num_read: int) -> None:
        started, first, last = (
            metrics.first_scheduled_time,
            metrics.first_token_time,
            metrics.last_token_time,
        )
        if started is None or first is None or last is None:
            return
        self.prefill.add(first - started)
        self.decode.add(last - first)
        self.inference.add(last - started)
        self.reading.add(num_read, first - started)
        following = metrics.num_output_tokens - 1
        if following > 0:
            self.per_token.add((last - first) / following)
            self.writing.add(following, last - first)
