"""Record a model once as a flat list of ops on rows of activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pyllm.graph.weights import Weight

RowClass = Literal["T", "R"]  # T: every token of the step; R: only the rows that need logits
RopeMode = Literal["interleaved", "neox"]
Attr = int | float | str


@dataclass(frozen=True, slots=True)
class Value:
    """An activation of `width` floats per row, written by exactly one op."""

    id: int
    width: int
    rows: RowClass = "T"


@dataclass(frozen=True, slots=True)
class Op:
    """One step of the program; `name` is a row of csrc/ops/ops.def."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    weights: tuple[Weight | None, ...] = ()
    attrs: Mapping[str, Attr] = field(default_factory=dict)


class Graph:
    """Every method below appends one op of the same name and returns the value it writes.

    Shapes are checked while recording: a tensor that does not fit raises ModelFileError naming it.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def embed(self, table: Weight, n_vocab: int, width: int, scale: float = 1.0) -> Value:
        """Look up one row of `table` (n_vocab, width) per token and multiply it by `scale`."""
        table.require(n_vocab, width)
        return self._append("embed", (), width, "T", (table,), scale=scale)

    def linear(self, x: Value, w: Weight, width: int, bias: Weight | None = None) -> Value:
        """Multiply by `w` (width, x.width) and add `bias` (width)."""
        w.require(width, x.width)
        if bias is not None:
            bias.require_vector(width)
        weights = (None, w, bias)
        return self._append("linear", (x,), width, x.rows, weights, eps=0.0, combine="none")

    def rms_norm(self, x: Value, w: Weight, eps: float, group: int = 0) -> Value:
        """Normalise whole rows, or every `group` columns on their own with the same weight."""
        w.require_vector(group or x.width)
        return self._append("rms_norm", (x,), x.width, x.rows, (w,), eps=eps, group=group)

    def rope(
        self, x: Value, inv_freq: Weight, head_dim: int, mode: RopeMode, mscale: float = 1.0
    ) -> Value:
        """Rotate the first 2 x len(inv_freq) dimensions of every head by position x inv_freq."""
        rope_dim = 2 * inv_freq.shape[0]
        assert rope_dim <= head_dim
        assert x.width % head_dim == 0
        return self._append(
            "rope", (x,), x.width, x.rows, (inv_freq,), n_heads=x.width // head_dim,
            head_dim=head_dim, rope_dim=rope_dim, mode=mode, mscale=mscale,
        )  # fmt: skip

    def attention(
        self, q: Value, k: Value, v: Value, *, layer: int, n_heads: int, n_kv_heads: int,
        scale: float, window: int = 0,
    ) -> Value:  # fmt: skip
        """Store k and v in the cache of `layer`; each query attends to positions 0..its own.

        With a `window` it attends to the last `window` of them only, its own among them.
        """
        head_dim, v_dim = k.width // n_kv_heads, v.width // n_kv_heads
        assert (q.width, k.width) == (n_heads * head_dim, n_kv_heads * head_dim)
        assert (v.width, n_heads % n_kv_heads) == (n_kv_heads * v_dim, 0)
        return self._append(
            "attention", (q, k, v), n_heads * v_dim, "T", (None, None, None), layer=layer,
            n_heads=n_heads, n_kv_heads=n_kv_heads, head_dim=head_dim, v_dim=v_dim, scale=scale,
            window=window, eps=0.0, rope_dim=0, mode="neox",
        )  # fmt: skip

    def moe(
        self, x: Value, router: Weight, gate: Weight, up: Weight, down: Weight, *, n_experts: int,
        n_used: int, n_ff: int, renormalise: bool,
    ) -> Value:  # fmt: skip
        """Send each row through `n_used` of `n_experts` experts and add up what they give.

        router (n_experts, x.width) gives a row's logits; the experts with the largest ones are
        used, weighted by softmax(logits), which `renormalise` scales to a sum of 1 over those used.
        Expert e multiplies by gate[e] and up[e] (n_ff, x.width), combines the two as silu_mul
        does, and multiplies by down[e] (x.width, n_ff).
        """
        router.require(n_experts, x.width)
        gate.require(n_experts, n_ff, x.width)
        up.require(n_experts, n_ff, x.width)
        down.require(n_experts, x.width, n_ff)
        return self._append(
            "moe", (x,), x.width, x.rows, (None, router, gate, up, down), n_experts=n_experts,
            n_used=n_used, n_ff=n_ff, renormalise=int(renormalise), eps=0.0,
        )  # fmt: skip

    def sigmoid_gate(self, x: Value, y: Value, w: Weight) -> Value:
        """Multiply each row of y by sigmoid(row of x . `w`); `w` is a vector of x.width."""
        assert x.rows == y.rows
        w.require_vector(x.width)
        return self._append("sigmoid_gate", (x, y), y.width, y.rows, (w,))

    def silu_mul(self, gate: Value, up: Value) -> Value:
        """Multiply silu(gate) by up."""
        assert (gate.width, gate.rows) == (up.width, up.rows)
        return self._append("silu_mul", (gate, up), gate.width, gate.rows)

    def add(self, a: Value, b: Value) -> Value:
        """Add two activations."""
        assert (a.width, a.rows) == (b.width, b.rows)
        return self._append("add", (a, b), a.width, a.rows)

    def take_rows(self, x: Value) -> Value:
        """Keep the rows that need logits: row class T becomes R."""
        assert x.rows == "T"
        return self._append("take_rows", (x,), x.width, "R")

    def _append(
        self, name: str, inputs: tuple[Value, ...], width: int, rows: RowClass,
        weights: tuple[Weight | None, ...] = (), **attrs: Attr,
    ) -> Value:  # fmt: skip
        output = Value(len(self.ops), width, rows)  # a recorded op writes one value: id = index
        self.ops.append(Op(name, inputs, (output,), weights, attrs))
        return output
