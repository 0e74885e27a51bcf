"""Fused programs compute what the recorded ones compute, in few ops."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyllm.graph import fuse as rewrites
from pyllm.graph.fuse import fuse
from pyllm.graph.graph import Graph, Op, Value
from pyllm.graph.plan import plan
from pyllm.graph.reference import Batch, Interpreter
from pyllm.graph.weights import Weight, Weights, constant
from tests.support.toy_file import ToyFile
from tests.support.toy_models import record, toy_arrays, toy_config, toy_experts

MODELS = {
    "llama": (toy_config("llama"), {}),
    "llama-biases": (toy_config("llama"), {"biases": True}),
    "llama-tied": (toy_config("llama"), {"tied": True}),
    "llama-one-layer": (toy_config("llama", n_layers=1, head_dim=4, rope_dim=4, v_dim=4), {}),
    "llama-partial-rope": (toy_config("llama", rope_dim=6), {}),
    "llama-v-dim": (toy_config("llama", v_dim=7), {}),
    "llama-window": (toy_config("llama", window=3), {}),
    "qwen2": (toy_config("qwen2", n_kv_heads=1), {}),
    "qwen3": (toy_config("qwen3"), {"tied": True}),
    "llama-experts": (toy_experts("llama"), {}),
    "qwen2moe": (toy_experts("qwen2moe"), {}),
    "qwen3moe": (toy_experts("qwen3moe", n_experts=5, n_experts_used=5), {"tied": True}),
}
# Two sequences; the first gets logits for two rows, the second (7 tokens) for its last.
BATCH = Batch(
    tokens=[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8],
    positions=[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6],
    seq_starts=[0, 5, 12],
    seq_ids=[0, 1],
    logit_rows=[1, 4, 11],
)


def result_of(ops: list[Op], values: Any) -> Any:
    return Interpreter(ops, values, np.float64).step(BATCH)[ops[-1].outputs[-1]]


def assert_same(found: Any, expected: Any) -> None:
    """Equal up to float64 rounding: BLAS may sum in another order for fewer rows."""
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_fused_model_equals_recorded_model(name: str) -> None:
    config, options = MODELS[name]
    ops, file = record(config, toy_arrays(config, **options))
    expected = result_of(ops, file.values)
    assert expected.shape == (3, config.n_vocab)
    assert_same(result_of(fuse(ops), file.values), expected)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rewrite", rewrites.REWRITES, ids=lambda r: r.__name__)
def test_each_rewrite_alone_keeps_the_result(name: str, rewrite: rewrites.Rewrite) -> None:
    config, options = MODELS[name]
    ops, file = record(config, toy_arrays(config, **options))
    assert_same(result_of(rewrite(ops), file.values), result_of(ops, file.values))


@pytest.mark.parametrize("name", MODELS)
def test_fused_model_runs_in_the_planned_arena(name: str) -> None:
    config, options = MODELS[name]
    ops, file = record(config, toy_arrays(config, **options))
    placed = plan(fuse(ops), max_tokens=13, max_rows=5)
    step = Interpreter(placed, file.values, np.float64).step(BATCH)
    assert_same(step[placed.result], result_of(ops, file.values))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_a_layer_is_five_ops(architecture: str) -> None:
    def count(n_layers: int) -> Counter[str]:
        config = toy_config(architecture, n_layers=n_layers)
        return Counter(op.name for op in fuse(record(config, toy_arrays(config))[0]))

    assert count(3) - count(2) == Counter({"linear": 4, "attention": 1})


@pytest.mark.parametrize("architecture", ["llama", "qwen3moe"])
def test_a_layer_with_experts_is_four_ops(architecture: str) -> None:
    def count(n_layers: int) -> Counter[str]:
        config = toy_experts(architecture, n_layers=n_layers)
        return Counter(op.name for op in fuse(record(config, toy_arrays(config))[0]))

    assert count(3) - count(2) == Counter({"linear": 2, "attention": 1, "moe": 1})


class TestKeepsWhatOthersRead:
    """A value with a second reader must not disappear into a fused op."""

    def setup_method(self) -> None:
        rng = np.random.default_rng(1)
        self.file = ToyFile(
            {
                "table": rng.standard_normal((43, 8)).astype(np.float32),
                "a": rng.standard_normal((8, 8)).astype(np.float32),
                "b": rng.standard_normal((8, 8)).astype(np.float32),
                "norm": rng.standard_normal(8).astype(np.float32),
                "half": rng.standard_normal(4).astype(np.float32),
            }
        )
        self.w = Weights(self.file)
        self.g = Graph()
        self.x = self.g.embed(self.w["table"], 43, 8)

    def check(self) -> list[Op]:
        fused = fuse(self.g.ops)
        assert_same(result_of(fused, self.file.values), result_of(self.g.ops, self.file.values))
        return fused

    def linear(self, x: Value, name: str) -> Value:
        return self.g.linear(x, self.w[name], 8)

    def test_norm_with_two_readers(self) -> None:
        n = self.g.rms_norm(self.x, self.w["norm"], 1e-5)
        self.g.take_rows(self.g.silu_mul(self.linear(n, "a"), n))
        assert "rms_norm" in {op.name for op in self.check()}

    def test_grouped_norm_is_not_a_linear_prologue(self) -> None:
        n = self.g.rms_norm(self.x, self.w["half"], 1e-5, group=4)
        self.g.take_rows(self.linear(n, "a"))
        assert "rms_norm" in {op.name for op in self.check()}

    def test_gate_with_two_readers(self) -> None:
        gate, up = self.linear(self.x, "a"), self.linear(self.x, "b")
        self.g.take_rows(self.g.add(self.g.silu_mul(gate, up), gate))
        assert "silu_mul" in {op.name for op in self.check()}

    def test_swapped_gate_and_up(self) -> None:
        up, gate = self.linear(self.x, "a"), self.linear(self.x, "b")
        y = self.g.silu_mul(gate, up)
        z = self.g.attention(y, y, y, layer=0, n_heads=1, n_kv_heads=1, scale=1.0)
        self.g.take_rows(z)  # rows are not taken before an attention
        assert "silu_mul" in {op.name for op in self.check()}

    def test_product_with_two_readers(self) -> None:
        y = self.linear(self.x, "a")
        self.g.take_rows(self.g.add(self.g.add(self.x, y), y))
        self.check()

    def test_value_added_to_itself(self) -> None:
        y = self.linear(self.x, "a")
        self.g.take_rows(self.g.add(y, y))
        self.check()

    def test_two_linears_that_share_an_input_far_apart(self) -> None:
        first = self.linear(self.x, "a")
        other = self.linear(first, "b")
        second = self.linear(self.x, "b")
        self.g.take_rows(self.g.silu_mul(other, self.g.add(first, second)))
        self.check()

    def test_result_stays_the_last_ops_output(self) -> None:
        rows = self.g.take_rows(self.x)
        self.g.rms_norm(self.linear(rows, "b"), self.w["norm"], 1e-5)
        self.linear(rows, "a")
        assert self.check()[-1].outputs == self.g.ops[-1].outputs

    def test_rows_taken_from_a_value_with_two_readers(self) -> None:
        y = self.linear(self.x, "a")
        rows = self.g.take_rows(y)
        self.g.add(rows, self.g.take_rows(self.linear(y, "b")))
        self.check()


class TestHeads:
    """Norms and rotation of q and k move into attention only when it can do the same."""

    def build(self, *, q_mscale: float = 1.0, k_dims: int = 8, norm: str = "none") -> list[Op]:
        rng = np.random.default_rng(2)
        arrays = {
            "table": rng.standard_normal((43, 16)).astype(np.float32),
            "norm": rng.standard_normal(8).astype(np.float32),
        }
        self.file = ToyFile(arrays)
        w, g = Weights(self.file), Graph()
        x = g.embed(w["table"], 43, 16)
        q, k = x, g.add(x, x)
        freq = [self.freq(8), self.freq(k_dims)] if k_dims != 8 else [self.freq(8)] * 2
        if norm == "before":
            q, k = (g.rms_norm(h, w["norm"], 1e-5, group=8) for h in (q, k))
        q = g.rope(q, freq[0], 8, "neox", q_mscale)
        k = g.rope(k, freq[1], 8, "neox")
        if norm == "after":
            q, k = (g.rms_norm(h, w["norm"], 1e-5, group=8) for h in (q, k))
        g.take_rows(g.attention(q, k, x, layer=0, n_heads=2, n_kv_heads=2, scale=0.3))
        fused = fuse(g.ops)
        assert_same(result_of(fused, self.file.values), result_of(g.ops, self.file.values))
        return fused

    def freq(self, dims: int) -> Weight:
        values = (1e4 ** -(np.arange(0, dims, 2) / dims)).astype(np.float32)
        return Weight("inv_freq", 0, values.shape, values=values)

    def names(self, **options: Any) -> list[str]:
        return [op.name for op in self.build(**options)]

    def test_rotation_alone(self) -> None:
        assert self.names() == ["embed", "add", "attention", "take_rows"]

    def test_norm_then_rotation(self) -> None:
        assert self.names(norm="before") == ["embed", "add", "attention", "take_rows"]

    def test_norm_after_rotation_keeps_the_order(self) -> None:
        assert Counter(self.names(norm="after"))["rope"] == 2

    def test_scaled_rotation_stays_an_op(self) -> None:
        assert Counter(self.names(q_mscale=1.5))["rope"] == 2

    def test_different_rotations_stay_ops(self) -> None:
        assert Counter(self.names(k_dims=4))["rope"] == 2


class RandomProgram:
    """Draws programs of every op, wired at random, with values used once, twice or never."""

    WIDTH, GROUP = 8, 4

    def __init__(self, data: st.DataObject) -> None:
        rng = np.random.default_rng(3)
        arrays = {name: rng.standard_normal((8, 8)).astype(np.float32) / 3 for name in "abc"}
        arrays["table"] = rng.standard_normal((43, 8)).astype(np.float32)
        arrays["bias"] = rng.standard_normal(8).astype(np.float32)
        arrays |= {f"norm{n}": 1 + rng.standard_normal(n).astype(np.float32) / 9 for n in (4, 8)}
        self.file, self.g, self.data = ToyFile(arrays), Graph(), data
        self.w = Weights(self.file)
        self.freq = constant("inv_freq", np.array([1.0, 0.1], np.float32))
        self.values = [self.g.embed(self.w["table"], 43, 8)]

    def draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self.data.draw(strategy)

    def build(self, n_ops: int) -> list[Op]:
        for _ in range(n_ops):
            self.values.append(self.next_value(self.draw(st.sampled_from(self.CHOICES))))
        if self.values[-1].rows == "T":
            self.values.append(self.g.take_rows(self.values[-1]))
        self.g.linear(self.values[-1], self.w["a"], 8)
        return self.g.ops

    CHOICES = ("linear", "linear", "norm", "heads", "rope", "silu", "add", "add", "attend", "take")

    def next_value(self, choice: str) -> Value:
        # The newest values are likeliest, so that chains form which the rewrites look for.
        near = self.values[-4:]
        x = self.draw(st.sampled_from(near))
        y = self.draw(st.sampled_from([v for v in self.values if v.rows == x.rows][-4:]))
        if x.rows == "R" and choice in ("rope", "attend", "take"):
            choice = "add"
        match choice:
            case "linear":
                bias = self.draw(st.sampled_from([None, self.w["bias"]]))
                return self.g.linear(x, self.w[self.draw(st.sampled_from("abc"))], 8, bias)
            case "norm":
                return self.g.rms_norm(x, self.w["norm8"], 1e-5)
            case "heads":
                return self.g.rms_norm(x, self.w["norm4"], 1e-5, group=4)
            case "rope":
                return self.g.rope(
                    x, self.freq, 4, self.draw(st.sampled_from(["neox", "interleaved"]))
                )
            case "silu":
                return self.g.silu_mul(x, y)
            case "add":
                return self.g.add(x, y)
            case "take":
                return self.g.take_rows(x)
        layer = len(self.g.ops)
        return self.g.attention(x, y, x, layer=layer, n_heads=2, n_kv_heads=2, scale=0.5)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.integers(1, 20))
def test_random_programs_keep_their_result(data: st.DataObject, n_ops: int) -> None:
    program = RandomProgram(data)
    ops = program.build(n_ops)
    fused = fuse(ops)
    expected = result_of(ops, program.file.values)
    assert_same(result_of(fused, program.file.values), expected)
    placed = plan(fused, max_tokens=12, max_rows=3)
    step = Interpreter(placed, program.file.values, np.float64).step(BATCH)
    assert_same(step[placed.result], expected)
