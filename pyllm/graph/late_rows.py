"""The tail of a model runs only on the rows that need logits.

After the last attention nothing looks at other rows, so `take_rows` moves up to it: in a prefill
of 512 tokens this drops the last layer's projections for 511 of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyllm.graph.dataflow import read_counts, writers
from pyllm.graph.graph import Op, Value

# Ops whose output row i reads nothing but row i of their inputs.
ROW_WISE = ("linear", "moe", "rms_norm", "sigmoid_gate", "silu_mul", "add")


def late_rows(ops: Sequence[Op]) -> list[Op]:
    """f(x) -> take_rows  becomes  take_rows(x) -> f, as often as possible."""
    ops = list(ops)
    while (at := _movable_take_rows(ops)) is not None:
        ops = _move_take_rows_up(ops, at)
    return ops


def _movable_take_rows(ops: Sequence[Op]) -> int | None:
    uses, producers = read_counts(ops), writers(ops)
    for at, op in enumerate(ops):
        source = producers.get(op.inputs[0]) if op.name == "take_rows" else None
        if source and source.name in ROW_WISE and uses[source.outputs[0]] == 1:
            return at
    return None


def _move_take_rows_up(ops: list[Op], at: int) -> list[Op]:
    taken = ops[at]
    source = writers(ops)[taken.inputs[0]]
    before = [op for op in ops[:at] if op is not source]
    rows = {op.inputs[0]: op.outputs[0] for op in before if op.name == "take_rows"}
    next_id = 1 + max(v.id for op in ops for v in op.outputs)
    for value in source.inputs:
        if value not in rows:
            rows[value] = Value(next_id, value.width, "R")
            before.append(Op("take_rows", (value,), (rows[value],)))
            next_id += 1
    inputs = tuple(rows[value] for value in source.inputs)
    moved = Op(source.name, inputs, taken.outputs, source.weights, source.attrs)
    return [*before, moved, *ops[at + 1 :]]
