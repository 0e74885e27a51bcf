"""The results of `pyllm bench throughput` and `bench serve`, in vLLM's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pyllm.latency import PERCENTILES, Spread

__all__ = ["Totals", "as_json", "as_markdown"]

_LATENCIES = {
    "ttft": "TTFT (time to first token)",
    "tpot": "TPOT (time per output token, excl. 1st token)",
    "itl": "ITL (inter-token latency)",
    "e2el": "E2EL (end-to-end latency)",
}

_BEYOND_MEDIAN = [p for p in PERCENTILES if p != 50]


@dataclass(frozen=True)
class Totals:
    """All requests together. `failed` ended with an error; their tokens are not counted."""

    completed: int
    failed: int
    duration: float  # seconds
    total_input_tokens: int
    total_output_tokens: int

    def as_dict(self) -> dict[str, int | float]:
        """The names of vLLM's result file."""
        tokens = self.total_input_tokens + self.total_output_tokens
        return {
            "completed": self.completed,
            "failed": self.failed,
            "duration": self.duration,
            "total_input_tokens": self.total_input_tokens,
            "total_output_tokens": self.total_output_tokens,
            "request_throughput": self.completed / self.duration,
            "output_throughput": self.total_output_tokens / self.duration,
            "total_token_throughput": tokens / self.duration,
        }


_WORDS = {
    "completed": "Successful requests",
    "failed": "Failed requests",
    "request_rate": "Request rate configured (RPS)",
    "burstiness": "Burstiness",
    "max_concurrency": "Maximum request concurrency",
    "duration": "Benchmark duration (s)",
    "total_input_tokens": "Total input tokens",
    "total_output_tokens": "Total generated tokens",
    "request_throughput": "Request throughput (req/s)",
    "output_throughput": "Output token throughput (tok/s)",
    "total_token_throughput": "Total token throughput (tok/s)",
}


def as_markdown(
    title: str,
    settings: Mapping[str, float | None],
    totals: Totals,
    latencies: Mapping[str, Spread | None],
) -> str:
    """One table of totals and, when there are latencies, one of those."""
    values = {**settings, **totals.as_dict()}
    shown = {key: value for key in _WORDS if (value := values.get(key)) is not None}
    rows = [(_WORDS[key], _number(value)) for key, value in shown.items()]
    parts = [_table([(title, ""), *rows])]
    if latencies:
        head = ("ms", "Mean", "Median (P50)", *(f"P{p}" for p in _BEYOND_MEDIAN))
        parts.append(_table([head, *(_latency_row(*found) for found in latencies.items())]))
    return "\n\n".join(parts)


def as_json(
    settings: Mapping[str, float | None],
    totals: Totals,
    latencies: Mapping[str, Spread | None],
) -> str:
    """One object; a latency that nobody had is left out."""
    found: dict[str, float | None] = {**settings, **totals.as_dict()}
    for name, spread in latencies.items():
        if spread is not None:
            found |= {
                f"mean_{name}_ms": spread.mean,
                f"median_{name}_ms": spread.median,
                f"std_{name}_ms": spread.std,
                **{f"p{p}_{name}_ms": value for p, value in spread.percentiles.items()},
            }
    return json.dumps(found, indent=2)


def _latency_row(name: str, spread: Spread | None) -> tuple[str, ...]:
    if spread is None:
        return (_LATENCIES[name], *["–"] * (2 + len(_BEYOND_MEDIAN)))
    values = (spread.mean, spread.median, *(spread.percentiles[p] for p in _BEYOND_MEDIAN))
    return (_LATENCIES[name], *(f"{value:.2f}" for value in values))


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _table(rows: list[tuple[str, ...]]) -> str:
    """Markdown whose columns line up; the first one stands left, numbers right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths = [max(width, 2) for width in widths]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [rows[0], tuple(rule), *rows[1:]]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )
