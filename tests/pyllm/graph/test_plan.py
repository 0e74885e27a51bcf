"""The planner never lets two values that are alive at once share a float."""

from __future__ import annotations

import time
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.graph.fuse import fuse
from pyllm.graph.graph import Graph, Op, Value
from pyllm.graph.plan import ALIGN_FLOATS, Plan, plan
from tests.support.toy_models import record, toy_arrays, toy_config, toy_experts


def lives(ops: tuple[Op, ...]) -> dict[Value, tuple[int, int]]:
    """First and last op each value is needed at, computed apart from the planner."""
    spans: dict[Value, tuple[int, int]] = {}
    for i, op in enumerate(ops):
        for value in op.outputs:
            spans[value] = (i, i)
        for value in op.inputs:
            spans[value] = (spans[value][0], i)
    result = ops[-1].outputs[-1]
    return spans | {result: (spans[result][0], len(ops))}


def overwrites_residual(ops: tuple[Op, ...], old: Value, new: Value) -> bool:
    """Whether the op that writes `new` adds `old`, and reads it nowhere else if it is a linear."""
    writer = next(op for op in ops if new in op.outputs)
    adds = writer.name in ("linear", "moe") and writer.inputs[1:] == (old,)
    return adds and (writer.name == "moe" or writer.inputs[0] != old)


def assert_sound(placed: Plan) -> None:
    rows = {"T": placed.max_tokens, "R": placed.max_rows}
    spans = lives(placed.ops)
    place = {v: range(at, at + v.width * rows[v.rows]) for v, at in placed.offsets.items()}
    for value, floats in place.items():
        assert floats.start % ALIGN_FLOATS == 0
        assert floats.start >= 0
        assert floats.stop <= placed.arena_floats, value
    for a, b in combinations(spans, 2):
        first, second = (a, b) if spans[a][0] <= spans[b][0] else (b, a)
        if spans[second][0] > spans[first][1]:
            continue  # never alive at once
        shared = max(place[a].start, place[b].start) < min(place[a].stop, place[b].stop)
        if shared:
            assert spans[second][0] == spans[first][1], (a, b)
            assert overwrites_residual(placed.ops, first, second), (a, b)
            assert place[a].start == place[b].start, (a, b)


@st.composite
def random_programs(draw: st.DrawFn) -> list[Op]:
    """Programs of made-up ops: any op may read any earlier value, some write several values."""
    widths = st.integers(1, 40)
    ops = [Op("embed", (), (Value(0, draw(widths)),))]
    values = [ops[0].outputs[0]]
    for _ in range(draw(st.integers(1, 25))):
        next_id = len(values)
        x = draw(st.sampled_from(values))
        if draw(st.booleans()):
            same = [v for v in values if v.rows == x.rows]
            residual = draw(st.sampled_from(same))
            output = Value(next_id, residual.width, residual.rows)
            op = Op("linear", (x, residual), (output,))
        elif x.rows == "T" and draw(st.integers(0, 5)) == 0:
            op = Op("take_rows", (x,), (Value(next_id, x.width, "R"),))
        else:
            count = draw(st.integers(1, 3))
            outputs = tuple(Value(next_id + i, draw(widths), x.rows) for i in range(count))
            op = Op("linear", (x,), outputs)
        ops.append(op)
        values += op.outputs
    return ops


@settings(max_examples=300, deadline=None)
@given(random_programs(), st.integers(1, 9), st.integers(1, 9))
def test_live_values_never_overlap(ops: list[Op], max_tokens: int, max_rows: int) -> None:
    assert_sound(plan(ops, max_tokens, max_rows))


MODELS = [
    *(toy_config(architecture, n_layers=3) for architecture in ("llama", "qwen2", "qwen3")),
    *(toy_experts(architecture, n_layers=3) for architecture in ("llama", "qwen2moe", "qwen3moe")),
]


@pytest.mark.parametrize("config", MODELS, ids=lambda c: f"{c.architecture}-{c.n_experts}")
def test_models_are_planned_soundly(config: Any) -> None:
    ops, _ = record(config, toy_arrays(config))
    assert_sound(plan(ops, 7, 3))
    assert_sound(plan(fuse(ops), 7, 3))


@pytest.mark.parametrize("config", [toy_config(n_layers=4), toy_experts("llama", n_layers=4)])
def test_residual_stream_is_one_buffer(config: Any) -> None:
    ops, _ = record(config, toy_arrays(config))
    placed = plan(fuse(ops), 16, 4)
    stream = [v for v in placed.offsets if v.width == config.n_embd and v.rows == "T"]
    assert len({placed.offsets[v] for v in stream}) == 1


def test_arena_does_not_grow_with_layers() -> None:
    def floats(n_layers: int) -> int:
        config = toy_config("llama", n_layers=n_layers)
        return plan(fuse(record(config, toy_arrays(config))[0]), 16, 4).arena_floats

    assert floats(2) == floats(9)


def test_residual_that_is_read_again_is_not_overwritten() -> None:
    x, y, z = Value(0, 8), Value(1, 8), Value(2, 8)
    ops = [
        Op("embed", (), (x,)),
        Op("linear", (x,), (y,)),
        Op("linear", (y, x), (z,)),
        Op("add", (z, x), (Value(3, 8),)),
    ]
    placed = plan(ops, 2, 2)
    assert placed.offsets[z] != placed.offsets[x]
    assert_sound(placed)


def test_a_linear_that_adds_its_own_input_is_not_in_place() -> None:
    x, y = Value(0, 8), Value(1, 8)
    placed = plan([Op("embed", (), (x,)), Op("linear", (x, x), (y,))], 2, 2)
    assert placed.offsets[x] != placed.offsets[y]


def test_experts_take_rows_for_each_one_used() -> None:
    config = toy_experts("llama", n_embd=24, n_ff=37, n_expert_ff=40, n_experts_used=3)
    placed = plan(fuse(record(config, toy_arrays(config))[0]), 16, 4)
    assert placed.expert_floats == 16 * 3 * (40 + 24 + 40)
    dense = toy_config("llama")
    assert plan(record(dense, toy_arrays(dense))[0], 16, 4).expert_floats == 0


def test_offsets_of_huge_limits_do_not_wrap() -> None:
    graph = Graph()
    value = graph.add(*[Value(i, 2**20) for i in (100, 101)])
    placed = plan(
        [Op("embed", (), (Value(100, 2**20),)), Op("embed", (), (Value(101, 2**20),)), *graph.ops],
        2**30,
        1,
    )
    assert placed.arena_floats == 3 * 2**50
    assert np.iinfo(np.int64).max > placed.offsets[value] >= 0


def test_a_thousand_layers_take_a_second_not_minutes() -> None:
    """A file may claim 1024 layers of tiny tensors; nothing here may be quadratic in them."""
    config = toy_config(
        "qwen3", n_layers=1024, n_embd=4, n_ff=4, n_vocab=4, n_heads=1, n_kv_heads=1
    )
    ops, _ = record(config, toy_arrays(config))
    start = time.process_time()
    placed = plan(fuse(ops), 64, 4)
    assert time.process_time() - start < 10
    assert len(placed.ops) == 5 * 1024 + 4
