"""The moe and sigmoid_gate ops: against the NumPy reference, and the same bits however they run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pyllm import _core, kernels
from pyllm.graph.graph import Op, Value
from pyllm.graph.reference import Batch, Interpreter
from pyllm.graph.weights import Weight, constant
from tests.support.core_program import Floats, ProgramBuilder, pack_f32, run_rows

TILE = 16


@dataclass(frozen=True)
class Layer:
    """Sizes of one layer of experts, and the type of its stacks."""

    n_experts: int = 6
    n_used: int = 2
    width: int = 24
    n_ff: int = 21
    kind: str = "F32"
    renormalise: int = 1
    seed: int = 0

    @property
    def attrs(self) -> dict[str, Any]:
        return {
            "n_experts": self.n_experts, "n_used": self.n_used, "n_ff": self.n_ff,
            "renormalise": self.renormalise, "eps": 1e-5,
        }  # fmt: skip

    def weights(self) -> list[Floats]:
        """Norm, router, gate, up, down."""
        rng = np.random.default_rng(self.seed)

        def normal(*shape: int) -> Floats:
            return (rng.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)

        e, width, n_ff = self.n_experts, self.width, self.n_ff
        norm = rng.uniform(0.5, 1.5, width).astype(np.float32)
        return [norm, 3 * normal(e, width), normal(e, n_ff, width), normal(e, n_ff, width),
                normal(e, width, n_ff)]  # fmt: skip


def stack(values: Floats, kind: str) -> _core.PackedTensor:
    """The experts' matrices with their rows padded to whole tiles."""
    n_experts, rows, cols = values.shape
    padded = np.zeros((n_experts, -(-rows // TILE) * TILE, cols), np.float32)
    padded[:, :rows] = values
    flat = padded.reshape(-1, cols)
    type_id = {fmt.name: fmt.id for fmt in kernels.formats()}[kind]
    return _core.PackedTensor.pack(type_id, *flat.shape, kernels.quantize(flat, type_id), 1)


def rows(n: int, width: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def build(layer: Layer, x: Floats, weights: list[Floats], *, residual: bool = True) -> Any:
    """A program that reads rows of x; and its output's place."""
    norm, router, *experts = weights
    builder = ProgramBuilder(max_tokens=len(x))
    value = builder.rows(x)
    inputs = [value, value] if residual else [value]
    operands = [norm, pack_f32(router), *(stack(w, layer.kind) for w in experts)]
    (y,) = builder.op("moe", inputs, [layer.width], operands, **layer.attrs)
    return builder, y


def run(
    layer: Layer, x: Floats, tokens: npt.ArrayLike | None = None, *, threads: int = 2,
    residual: bool = True, weights: list[Floats] | None = None,
) -> Floats:  # fmt: skip
    builder, y = build(layer, x, weights or layer.weights(), residual=residual)
    ids = np.arange(len(x)) if tokens is None else np.asarray(tokens)
    program = builder.build(threads=threads)
    run_rows(program, ids)
    return program.read(y, len(ids))


def reference(layer: Layer, x: Floats, weights: list[Floats], *, residual: bool = True) -> Any:
    """float64, from the stacks as their type stores them."""
    type_id = {fmt.name: fmt.id for fmt in kernels.formats()}[layer.kind]

    def stored(values: Floats) -> Floats:
        flat = values.reshape(-1, values.shape[-1])
        raw = kernels.quantize(flat, type_id)
        return np.asarray(kernels.dequantize(raw, type_id, flat.shape)).reshape(values.shape)

    handles = [constant(str(i), w) for i, w in enumerate(
        [*weights[:2], *(stored(w) for w in weights[2:])])]  # fmt: skip
    table = constant("x", x)
    value, y = Value(0, layer.width), Value(1, layer.width)
    inputs = (value, value) if residual else (value,)
    ops = [
        Op("embed", (), (value,), (table,), {"scale": 1.0}),
        Op("moe", inputs, (y,), tuple(handles), layer.attrs),
    ]
    n = len(x)
    batch = Batch(range(n), range(n), (0, n), (0,), ())
    return Interpreter(ops, _values, np.float64).step(batch)[y]


def _values(weight: Weight) -> Any:
    return weight.values


LAYERS = {
    "one-expert": Layer(n_experts=1, n_used=1, width=8, n_ff=5),
    "all-used": Layer(n_experts=5, n_used=5),
    "best-only": Layer(n_experts=17, n_used=1),
    "plain-softmax": Layer(renormalise=0),
    "many-experts": Layer(n_experts=130, n_used=8, width=40, n_ff=33),
    "wide": Layer(n_experts=4, n_used=2, width=1100, n_ff=50),
    "f16": Layer(kind="F16", width=33, n_ff=70),
    "q8_0": Layer(kind="Q8_0", width=96, n_ff=64),
    "q4_k": Layer(kind="Q4_K", width=256, n_ff=512),
    "q6_k": Layer(kind="Q6_K", width=256, n_ff=256, n_used=3),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("n", [1, 2, 7, 150])
def test_equals_the_reference(isa: str, name: str, n: int) -> None:
    layer = LAYERS[name]
    x, weights = rows(n, layer.width), layer.weights()
    exact = reference(layer, x, weights)
    tolerance = 0.04 if layer.kind.startswith("Q") else 1e-5  # activations are rounded to int8
    np.testing.assert_allclose(run(layer, x), exact, atol=tolerance * np.abs(exact).max())


def test_without_residual(isa: str) -> None:
    layer, x = Layer(), rows(9, 24)
    exact = reference(layer, x, layer.weights(), residual=False)
    np.testing.assert_allclose(run(layer, x, residual=False), exact, atol=1e-5)


def test_all_rows_to_the_same_experts(isa: str) -> None:
    """One router row points along every input: that expert gets all rows, most others none."""
    layer = Layer(n_experts=20, n_used=2)
    x = np.abs(rows(300, layer.width)) + 0.1
    weights = layer.weights()
    weights[1][:] *= 0.01
    weights[1][13] = 2.0
    weights[1][4] = 1.0
    np.testing.assert_allclose(
        run(layer, x, weights=weights), reference(layer, x, weights), atol=1e-4
    )


def test_equal_logits_choose_the_first_experts(isa: str) -> None:
    layer, x = Layer(n_used=3), rows(5, 24)
    weights = layer.weights()
    weights[1][:] = 0
    first = [w if w.ndim == 1 else w[:3] for w in weights]
    expected = run(replace(layer, n_experts=3), x, weights=first)
    np.testing.assert_array_equal(run(layer, x, weights=weights), expected)


@pytest.mark.parametrize("name", ["plain-softmax", "many-experts", "q8_0", "q4_k", "q6_k"])
def test_same_bits_everywhere(restore_isa: None, name: str) -> None:
    """Whatever the instruction set, thread count or number of rows in the step."""
    layer = LAYERS[name]
    x = rows(200, layer.width)
    whole = run(layer, x, threads=1)
    for isa_name in _core.isas():
        _core.set_isa(isa_name)
        for tokens in (np.arange(200), np.arange(1), np.arange(50, 52), np.arange(7, 40)):
            for threads in (1, 3):
                found = run(layer, x, tokens, threads=threads)
                np.testing.assert_array_equal(
                    found.view(np.uint32), whole[tokens].view(np.uint32),
                    err_msg=f"{isa_name}, {len(tokens)} rows, {threads} threads",
                )  # fmt: skip


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_harms_no_other(isa: str, bad: float) -> None:
    layer, x = Layer(n_experts=9, n_used=4), rows(12, 24)
    expected = run(layer, x)
    x[5, 3] = bad
    found = run(layer, x)
    assert not np.isfinite(found[5]).any()
    others = np.arange(12) != 5
    np.testing.assert_array_equal(found[others], expected[others])
    assert not np.isfinite(run(layer, x, [5])).any()


def test_cost_counts_the_experts_that_were_read() -> None:
    layer = Layer(n_experts=50, n_used=2, width=32, n_ff=16)
    x, weights = rows(3, 32), layer.weights()
    logits = reference_logits(x, weights)
    builder, _ = build(layer, x, weights)
    program = builder.build(threads=2)
    for tokens in ([0], [0, 1, 2]):
        used = {int(e) for t in tokens for e in np.argsort(-logits[t])[: layer.n_used]}
        run_rows(program, tokens)
        program.step(len(tokens), 1, 0, profile=True)
        (row,) = (row for row in program.profile() if row[1] == "moe")
        router, expert = 64 * 32 * 4, (16 * 32 + 16 * 32 + 32 * 16) * 4  # padded to tiles of 16
        assert row[3] == router + len(used) * expert
        assert row[4] == len(tokens) * (50 * 32 + 2 * 3 * 16 * 32)


def reference_logits(x: Floats, weights: list[Floats]) -> Floats:
    normed = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weights[0]
    return normed @ weights[1].T


def test_threads_can_change_between_steps() -> None:
    layer, x = Layer(), rows(30, 24)
    builder, y = build(layer, x, layer.weights())
    program = builder.build(threads=1)
    run_rows(program, np.arange(30))
    expected = program.read(y, 30)
    for threads in (3, 2):
        program.set_threads(threads)
        run_rows(program, np.arange(30))
        np.testing.assert_array_equal(program.read(y, 30), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"n_experts": 0}, "n_experts is 0, allowed 1 to"),
     ({"n_experts": 1 << 20}, "n_experts is 1048576"),
     ({"n_experts": 7}, r"weights\[1\] must have a row .* for each expert"),
     ({"n_used": 0}, "n_used is 0, allowed 1 to 6"),
     ({"n_used": 7}, "n_used is 7, allowed 1 to 6"),
     ({"n_ff": 0}, "n_ff is 0"),
     ({"n_ff": 40}, r"weights\[2\] must have 288 rows: whole tiles"),
     ({"n_ff": 22}, r"weights\[4\] must have 22 columns"),
     ({"renormalise": 2}, "renormalise is 2"),
     ({"eps": -1.0}, "eps is -1"),
     ({"colour": 1}, "unknown attribute colour")],
)  # fmt: skip
def test_bad_attributes_are_refused(changes: dict[str, Any], message: str) -> None:
    layer = Layer()
    builder, _ = build(layer, rows(4, 24), layer.weights())
    builder.ops[-1]["attrs"] |= changes
    with pytest.raises(ValueError, match=message):
        builder.build()


def test_bad_operands_are_refused() -> None:
    layer = Layer()
    builder, _ = build(layer, rows(4, 24), layer.weights())
    good = builder.ops[-1]["weights"]
    for at, wrong, message in (
        (0, np.ones(23, np.float32), r"weights\[0\] must have 24"),
        (1, good[2], r"weights\[1\] must have a row"),
        (2, good[4], r"weights\[2\] must have 24 columns"),
        (3, None, r"weights\[3\] must be a PackedTensor"),
    ):
        builder.ops[-1]["weights"] = [wrong if i == at else w for i, w in enumerate(good)]
        with pytest.raises(ValueError, match=message):
            builder.build()
    builder.ops[-1]["weights"] = good[:4]
    with pytest.raises(ValueError, match="takes 5 to 5 weights, got 4"):
        builder.build()


# ---- the gate of a shared expert ----


@pytest.mark.parametrize(("width", "n_out"), [(1, 1), (16, 40), (100, 33)])
def test_sigmoid_gate(isa: str, width: int, n_out: int) -> None:
    x, y, w = 3 * rows(5, width), rows(5, n_out, seed=2), rows(1, width, seed=3)[0]
    x[0], x[1] = 1000 * w, -1000 * w  # a gate that is open, one that is shut
    builder = ProgramBuilder(max_tokens=5)
    inputs = [builder.rows(x), builder.rows(y)]
    (gated,) = builder.op("sigmoid_gate", inputs, [n_out], [w])
    program = builder.build(threads=2)
    run_rows(program, np.arange(5))
    dots = x.astype(np.float64) @ w.astype(np.float64)
    exact = y / (1 + np.exp(-np.clip(dots, -87.3, 87.3)))[:, None]
    np.testing.assert_allclose(program.read(gated, 5), exact, rtol=2e-5, atol=1e-35)


@pytest.mark.parametrize(
    ("weight", "width", "message"),
    [(np.ones(5, np.float32), 3, "must have 4 elements"),
     (np.ones(4, np.float32), 2, "output must have the second input's shape")],
)  # fmt: skip
def test_sigmoid_gate_checks_shapes(weight: Any, width: int, message: str) -> None:
    builder = ProgramBuilder(max_tokens=2)
    inputs = [builder.rows(rows(2, 4)), builder.rows(rows(2, 3))]
    builder.op("sigmoid_gate", inputs, [width], [weight])
    with pytest.raises(ValueError, match=message):
        builder.build()
