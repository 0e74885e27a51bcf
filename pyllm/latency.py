"""How long requests took, in the four quantities that serving benchmarks agree on.

TTFT  time to first token: from sending a request to its first token
TPOT  time per output token behind the first one, averaged over a request
ITL   inter-token latency: from one report with tokens to the next
E2EL  end-to-end latency: from sending a request to its last token
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np

__all__ = ["PERCENTILES", "RequestTimes", "Spread", "latencies"]

PERCENTILES = (50, 90, 99)


@dataclass(slots=True)
class RequestTimes:
    """What a client saw of one request; all times in seconds of one clock."""

    sent: float
    arrivals: list[float] = field(default_factory=list)  # of reports with tokens
    num_tokens: int = 0

    def add(self, now: float, num_tokens: int) -> None:
        """A report came; one without tokens says nothing about speed."""
        if num_tokens:
            self.arrivals.append(now)
            self.num_tokens += num_tokens

    @property
    def ttft(self) -> float:
        return self.arrivals[0] - self.sent

    @property
    def e2el(self) -> float:
        return self.arrivals[-1] - self.sent

    @property
    def tpot(self) -> float | None:
        """None for an answer of one token."""
        if self.num_tokens < 2:
            return None
        return (self.e2el - self.ttft) / (self.num_tokens - 1)

    @property
    def itl(self) -> list[float]:
        return [after - before for before, after in pairwise(self.arrivals)]


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity over all requests, in milliseconds; percentiles are interpolated linearly."""

    mean: float
    median: float
    std: float
    percentiles: dict[int, float]

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self | None:
        """None for no values."""
        if not seconds:
            return None
        ms = np.asarray(seconds, np.float64) * 1e3
        found = np.percentile(ms, PERCENTILES)
        return cls(
            mean=float(ms.mean()),
            median=float(np.median(ms)),
            std=float(ms.std()),
            percentiles=dict(zip(PERCENTILES, found.tolist(), strict=True)),
        )


def latencies(requests: Iterable[RequestTimes]) -> dict[str, Spread | None]:
    """The spreads of "ttft", "tpot", "itl" and "e2el"; requests without a token do not count."""
    answered = [request for request in requests if request.arrivals]
    return {
        "ttft": Spread.of([request.ttft for request in answered]),
        "tpot": Spread.of([t for request in answered if (t := request.tpot) is not None]),
        "itl": Spread.of([gap for request in answered for gap in request.itl]),
        "e2el": Spread.of([request.e2el for request in answered]),
    }
