"""Where the time of a step goes: the per-op timings of many steps, summed by op."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["OpTime", "profile_table", "sum_by_op"]


@dataclass
class OpTime:
    """All runs of one kind of op. `bytes` are weights and KV read, `macs` multiply-adds."""

    name: str
    calls: int = 0
    nanoseconds: int = 0
    bytes: int = 0
    macs: int = 0


def sum_by_op(steps: Iterable[Iterable[tuple[int, str, int, int, int]]]) -> list[OpTime]:
    """Sums (op index, name, nanoseconds, bytes, macs) over steps; the longest first."""
    totals: dict[str, OpTime] = {}
    for step in steps:
        for _, name, nanoseconds, num_bytes, macs in step:
            total = totals.setdefault(name, OpTime(name))
            total.calls += 1
            total.nanoseconds += nanoseconds
            total.bytes += num_bytes
            total.macs += macs
    return sorted(totals.values(), key=lambda total: -total.nanoseconds)


def profile_table(title: str, steps: int, totals: list[OpTime]) -> str:
    """A table with one line per op; times are per step."""
    all_ns = sum(total.nanoseconds for total in totals) or 1
    lines = [
        f"{title}: {all_ns / steps / 1e6:.3f} ms per step, {steps} steps",
        f"  {'op':<24} {'calls':>6} {'ms':>10} {'share':>7} {'GB/s':>8} {'GMAC/s':>8}",
    ]
    for total in totals:
        # Nanoseconds make giga-per-second of plain counts.
        per_ns = 1 / (total.nanoseconds or 1)
        lines.append(
            f"  {total.name:<24} {total.calls // steps:>6} {total.nanoseconds / steps / 1e6:>10.3f}"
            f" {total.nanoseconds / all_ns:>7.1%} {total.bytes * per_ns:>8.2f}"
            f" {total.macs * per_ns:>8.2f}"
        )
    return "\n".join(lines)
