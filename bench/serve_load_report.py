"""What a load did to a server, as the rows of a table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from serve_load_streams import Tally


@dataclass(frozen=True)
class Phase:
    """Clients at work for so many seconds, and what they saw."""

    tally: Tally
    seconds: float

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.tally.tokens / self.seconds


def rows(calm: Phase, load: Phase, flood: Phase, *, idle: bool) -> dict[str, object]:
    """Names and values; `idle`: nothing ran any more at the end."""
    tally, too_many = load.tally, flood.tally
    half = len(tally.rss_kb) // 2
    early, late = statistics.median(tally.rss_kb[2:half]), statistics.median(tally.rss_kb[half:])
    return {
        "requests": sum(tally.ends.values()),
        "by kind": ", ".join(f"{kind} {count}" for kind, count in sorted(tally.ends.items())),
        "wrong answers and failures": len(tally.wrong),
        "tokens per second": f"{load.rate:.0f} (calm: {calm.rate:.0f})",
        "first token p50 / p99": f"{percentile(tally.first_token_s, 0.5):.2f} / "
        f"{percentile(tally.first_token_s, 0.99):.2f} s",
        "/health p50 / p99 / most": f"{1000 * percentile(tally.health_s, 0.5):.1f} / "
        f"{1000 * percentile(tally.health_s, 0.99):.1f} / {1000 * max(tally.health_s):.1f} ms",
        "memory, second half to first": f"{100 * (late / early - 1):+.2f} %",
        "descriptors, least and most": f"{min(tally.descriptors)}, {max(tally.descriptors)}",
        "ten times as many a second": f"{too_many.ends['whole']} answered, "
        f"{too_many.ends['refused']} refused; told so in p50 / p99 "
        f"{1000 * percentile(too_many.refused_s, 0.5):.1f} / "
        f"{1000 * percentile(too_many.refused_s, 0.99):.1f} ms",
        "and tokens per second": f"{flood.rate:.0f}",
        "idle at the end": idle,
    }


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
