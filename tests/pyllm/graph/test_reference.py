"""The oracle itself, against values worked out by hand and the papers' formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyllm.graph.graph import Graph, Op, RopeMode, Value
from pyllm.graph.plan import plan
from pyllm.graph.reference import Batch, Interpreter
from pyllm.graph.weights import Weights, constant
from tests.support.toy_file import ToyFile

TABLE = np.arange(12, dtype=np.float32).reshape(3, 4) - 5


def one_sequence(tokens: list[int], start: int = 0) -> Batch:
    rows = range(len(tokens))
    return Batch(tokens, range(start, start + len(tokens)), (0, len(tokens)), (0,), rows)


class Recorded:
    """A graph over the table above; `run` gives its last value for tokens at 0, 1, 2, …"""

    def __init__(self, **arrays: Any) -> None:
        self.file = ToyFile({"table": TABLE} | arrays)
        self.w, self.g = Weights(self.file), Graph()
        self.x = self.g.embed(self.w["table"], 3, 4)

    def run(self, tokens: list[int], start: int = 0) -> Any:
        step = Interpreter(self.g.ops, self.file.values, np.float64).step(
            one_sequence(tokens, start)
        )
        return step[self.g.ops[-1].outputs[-1]]


def test_embed_scales_rows() -> None:
    r = Recorded()
    r.g.embed(r.w["table"], 3, 4, scale=2.0)
    np.testing.assert_array_equal(r.run([2, 0]), 2 * TABLE[[2, 0]])


def test_linear_adds_its_bias() -> None:
    m = np.array([[1, 0, 0, 2], [0, -1, 0, 0]], np.float32)
    r = Recorded(m=m, b=np.array([10, 20], np.float32))
    r.g.linear(r.x, r.w["m"], 2, r.w["b"])
    np.testing.assert_array_equal(r.run([1]), [[-1 + 2 * 2 + 10, 0 + 20]])


def test_rms_norm_of_groups() -> None:
    r = Recorded(w=np.array([1, 10], np.float32))
    r.g.rms_norm(r.x, r.w["w"], 0.0, group=2)
    a, b = TABLE[0, :2], TABLE[0, 2:]
    rms = [np.sqrt((v.astype(float) ** 2).mean()) for v in (a, b)]
    expected = [a[0] / rms[0], 10 * a[1] / rms[0], b[0] / rms[1], 10 * b[1] / rms[1]]
    np.testing.assert_allclose(r.run([0])[0], expected)


def test_epsilon_is_inside_the_root() -> None:
    r = Recorded(w=np.ones(4, np.float32))
    r.g.rms_norm(r.x, r.w["w"], 7.5)
    square = (TABLE[1].astype(float) ** 2).mean()
    np.testing.assert_allclose(r.run([1])[0], TABLE[1] / np.sqrt(square + 7.5))


@pytest.mark.parametrize(("mode", "pairs"), [("interleaved", (0, 1)), ("neox", (0, 2))])
def test_rope_turns_pairs_by_position_times_frequency(
    mode: RopeMode, pairs: tuple[int, int]
) -> None:
    r = Recorded()
    r.g.rope(r.x, constant("f", np.array([0.5, 0.0], np.float32)), 4, mode)
    turned = r.run([1], start=3)[0]
    a, b = TABLE[1, list(pairs)]
    expected = TABLE[1].astype(float)  # the second pair has frequency 0
    expected[list(pairs)] = a * np.cos(1.5) - b * np.sin(1.5), a * np.sin(1.5) + b * np.cos(1.5)
    np.testing.assert_allclose(turned, expected)


def test_rope_leaves_dimensions_behind_it_alone() -> None:
    r = Recorded()
    r.g.rope(r.x, constant("f", np.array([0.5], np.float32)), 4, "neox")
    np.testing.assert_array_equal(r.run([1], start=3)[0, 2:], TABLE[1, 2:])


def test_attention_is_the_softmax_average_of_what_came_before() -> None:
    r = Recorded()
    r.g.attention(r.x, r.x, r.x, layer=0, n_heads=1, n_kv_heads=1, scale=0.25)
    out, x = r.run([0, 1, 2]), TABLE.astype(float)
    np.testing.assert_allclose(out[0], x[0])  # the first token sees itself
    weights = np.exp(0.25 * x[2] @ x.T)
    np.testing.assert_allclose(out[2], weights / weights.sum() @ x)


def test_query_heads_share_key_heads_in_order() -> None:
    """Four query heads over two key heads: 0 and 1 read the first, 2 and 3 the second."""
    r = Recorded(q=np.ones((4, 4), np.float32), k=np.eye(4, dtype=np.float32)[:2])
    q, k = r.g.linear(r.x, r.w["q"], 4), r.g.linear(r.x, r.w["k"], 2)
    r.g.attention(q, k, k, layer=0, n_heads=4, n_kv_heads=2, scale=1.0)
    np.testing.assert_array_equal(r.run([1])[0], [-1, -1, 0, 0])


def test_sequences_do_not_see_each_other() -> None:
    r = Recorded()
    r.g.attention(r.x, r.x, r.x, layer=0, n_heads=1, n_kv_heads=1, scale=1.0)
    alone = [r.run([0, 1]), r.run([2])]
    batch = Batch([0, 1, 2], [0, 1, 0], [0, 2, 3], [4, 9], range(3))
    step = Interpreter(r.g.ops, r.file.values, np.float64).step(batch)
    np.testing.assert_array_equal(step[r.g.ops[-1].outputs[0]], np.concatenate(alone))


def test_large_negative_gates_give_zero_without_a_warning() -> None:
    r = Recorded(m=1e3 * np.eye(4, dtype=np.float32))
    r.g.silu_mul(r.g.linear(r.x, r.w["m"], 4), r.x)
    expected = np.where(TABLE[1] > 0, 1e3 * TABLE[1] ** 2, 0)
    np.testing.assert_allclose(r.run([1])[0], expected, atol=1e-300)


def test_a_plan_that_overlaps_live_values_shows() -> None:
    r = Recorded()
    y = r.g.add(r.x, r.x)
    z = r.g.add(y, r.x)
    good = plan(r.g.ops, 3, 1)
    run = Interpreter(good, r.file.values).step(one_sequence([0, 1, 2]))
    np.testing.assert_array_equal(run[z], 3 * TABLE)
    good.offsets[y] = good.offsets[r.x]  # y now overwrites x while x is still needed
    broken = Interpreter(good, r.file.values).step(one_sequence([0, 1, 2]))
    assert not np.array_equal(broken[z], 3 * TABLE)


def test_an_op_that_breaks_its_promised_shape_is_caught() -> None:
    op = Op("take_rows", (Value(0, 4),), (Value(1, 5, "R"),))
    r = Recorded()
    with pytest.raises(AssertionError, match="take_rows"):
        Interpreter([*r.g.ops, op], r.file.values).step(one_sequence([0]))
