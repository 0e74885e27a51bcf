"""Who writes and who reads each value of a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pyllm.graph.graph import Op, Value


def writers(ops: Sequence[Op], name: str | None = None) -> dict[Value, Op]:
    """Return the op that writes each value; with `name`, of ops of that name only."""
    return {v: op for op in ops if name in (None, op.name) for v in op.outputs}


def read_counts(ops: Sequence[Op]) -> Counter[Value]:
    """Return how often each value is read; whoever runs the program reads its last one."""
    counts = Counter(v for op in ops for v in op.inputs)
    counts[ops[-1].outputs[-1]] += 1
    return counts
