"""After the last attention, only rows that need logits are computed."""

from __future__ import annotations

from pyllm.graph.graph import Op, Value
from pyllm.graph.late_rows import late_rows
from tests.support.toy_models import record, toy_arrays, toy_config


def names(ops: list[Op]) -> list[str]:
    return [op.name for op in ops]


def test_tail_of_a_model_is_of_class_r() -> None:
    config = toy_config("llama")
    ops = late_rows(record(config, toy_arrays(config))[0])
    last_attention = max(i for i, op in enumerate(ops) if op.name == "attention")
    tail = [op for op in ops[last_attention + 1 :] if op.name != "take_rows"]
    assert names(tail) == [
        "linear", "add", "rms_norm", "linear", "linear", "silu_mul", "linear", "add", "rms_norm",
        "linear",
    ]  # fmt: skip
    assert all(v.rows == "R" for op in tail for v in (*op.inputs, *op.outputs))


def test_what_other_ops_read_stays() -> None:
    x, y, z = Value(0, 4), Value(1, 4), Value(2, 4)
    rows, logits = Value(3, 4, "R"), Value(4, 4, "R")
    ops = [
        Op("embed", (), (x,)),
        Op("silu_mul", (x, x), (y,)),
        Op("attention", (y, y, y), (z,)),
        Op("take_rows", (y,), (rows,)),
        Op("silu_mul", (rows, rows), (logits,)),
    ]
    assert late_rows(ops) == ops


def test_an_input_read_twice_is_taken_once() -> None:
    x, y, rows = Value(0, 4), Value(1, 4), Value(2, 4, "R")
    ops = [Op("embed", (), (x,)), Op("add", (x, x), (y,)), Op("take_rows", (y,), (rows,))]
    moved = late_rows(ops)
    assert names(moved) == ["embed", "take_rows", "add"]
    assert moved[-1].outputs == (rows,)
