"""The oracle: a NumPy interpreter of the very list of ops the C++ core executes.

It computes in float32 or float64 with plain weights and a plain cache, slowly and readably.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm.graph.graph import Op, Value
from pyllm.graph.plan import Plan
from pyllm.graph.weights import Weight

Array = npt.NDArray[Any]
Cache = dict[tuple[int, int], tuple[Array, Array]]  # (layer, sequence) -> k, v [n, heads, dim]


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one step, as the core's columns: several sequences back to back."""

    tokens: Sequence[int]  # [T]
    positions: Sequence[int]  # [T]
    seq_starts: Sequence[int]  # [sequences + 1], rows of sequence s are starts[s]..starts[s+1]-1
    seq_ids: Sequence[int]  # [sequences], the cache entry each one continues
    logit_rows: Sequence[int]  # [R], which T rows get logits


class Interpreter:
    """Runs a list of ops. Given a Plan, values live in its arena, so a wrong plan shows."""

    def __init__(
        self,
        program: Sequence[Op] | Plan,
        weight_values: Callable[[Weight], Array],
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self._plan = program if isinstance(program, Plan) else None
        self._ops = program.ops if isinstance(program, Plan) else tuple(program)
        self._dtype = np.dtype(dtype)
        self._weights = {
            w: np.asarray(w.values if w.values is not None else weight_values(w), self._dtype)
            for op in self._ops
            for w in op.weights
            if w is not None
        }
        self._cache: Cache = {}

    def step(self, batch: Batch) -> dict[Value, Array]:
        """Run one step and return every value that is still in place; [rows, width] each."""
        arena = np.full(self._plan.arena_floats if self._plan else 0, np.nan, self._dtype)
        values: dict[Value, Array] = {}
        for op in self._ops:
            inputs = [values[v] for v in op.inputs]
            weights = [None if w is None else self._weights[w] for w in op.weights]
            outputs = OPS[op.name](Call(op, inputs, weights, batch, self._cache))
            for value, result in zip(op.outputs, outputs, strict=True):
                assert result.shape == (_rows(value, batch), value.width), op.name
                values[value] = self._place(arena, value, result)
        return values

    def logits(self, tokens: Sequence[int], chunk: int = 0, seq_id: int = 0) -> Array:
        """Run one sequence from position 0, `chunk` tokens a step (0: all); logits of every row."""
        chunk = chunk or len(tokens)
        self._cache = {key: kv for key, kv in self._cache.items() if key[1] != seq_id}
        parts = []
        for start in range(0, len(tokens), chunk):
            part = tokens[start : start + chunk]
            rows = range(len(part))
            positions = range(start, start + len(part))
            batch = Batch(part, positions, (0, len(part)), (seq_id,), rows)
            parts.append(self.step(batch)[self._ops[-1].outputs[-1]])
        return np.concatenate(parts)

    def _place(self, arena: Array, value: Value, result: Array) -> Array:
        if self._plan is None:
            return result.astype(self._dtype, copy=False)
        start = self._plan.offsets[value]
        place = arena[start : start + result.size].reshape(result.shape)
        place[...] = result
        return place


def _rows(value: Value, batch: Batch) -> int:
    return len(batch.tokens) if value.rows == "T" else len(batch.logit_rows)


@dataclass(frozen=True, slots=True)
class Call:
    """What one op gets: its description, its inputs [rows, width], its weights and the step."""

    op: Op
    x: list[Array]
    w: list[Any]
    batch: Batch
    cache: Cache

    def number(self, name: str) -> int:
        return int(self.op.attrs[name])


# --- one function per row of csrc/ops/ops.def ---


def embed(c: Call) -> list[Array]:
    return [c.w[0][list(c.batch.tokens)] * c.w[0].dtype.type(c.op.attrs["scale"])]


def rms_norm(c: Call) -> list[Array]:
    x, group = c.x[0], c.number("group")
    groups = x.reshape(len(x), -1, group or x.shape[1])
    return [_norm(groups, c.w[0], c.op.attrs["eps"]).reshape(x.shape)]


def linear(c: Call) -> list[Array]:
    rows = c.x[0] if c.w[0] is None else _norm(c.x[0], c.w[0], c.op.attrs["eps"])
    products = [
        rows @ matrix.T + (0 if bias is None else bias)
        for matrix, bias in zip(c.w[1::2], c.w[2::2], strict=True)
    ]
    if c.op.attrs["combine"] == "silu_mul":
        products = [_silu(products[0]) * products[1]]
    if len(c.x) == 2:
        products = [products[0] + c.x[1]]
    return products


def rope(c: Call) -> list[Array]:
    heads = c.x[0].reshape(len(c.x[0]), c.number("n_heads"), c.number("head_dim"))
    return [_rotate(c, heads, c.w[0], c.op.attrs["mscale"]).reshape(c.x[0].shape)]


def attention(c: Call) -> list[Array]:
    q, k, v = (
        x.reshape(len(x), c.number(heads), c.number(dim))
        for x, heads, dim in zip(
            c.x, ("n_heads", "n_kv_heads", "n_kv_heads"), ("head_dim", "head_dim", "v_dim"),
            strict=True,
        )
    )  # fmt: skip
    if c.w[0] is not None:
        q, k = _norm(q, c.w[0], c.op.attrs["eps"]), _norm(k, c.w[1], c.op.attrs["eps"])
    if c.w[2] is not None:
        q, k = _rotate(c, q, c.w[2]), _rotate(c, k, c.w[2])
    out = np.empty((*q.shape[:2], v.shape[2]), q.dtype)
    window = c.number("window") or max(c.batch.positions) + 1
    for seq, rows in _sequences(c.batch):
        keys, values = _extend(c, seq, k[rows], v[rows], rows)
        for row in range(rows.start, rows.stop):
            end = c.batch.positions[row] + 1
            seen = slice(max(0, end - window), end)
            out[row] = _attend(q[row], keys[seen], values[seen], float(c.op.attrs["scale"]))
    return [out.reshape(len(out), -1)]


def moe(c: Call) -> list[Array]:
    norm, router, gate, up, down = c.w
    x = c.x[0] if norm is None else _norm(c.x[0], norm, c.op.attrs["eps"])
    logits = x @ router.T
    chosen = np.argsort(-logits, axis=1, kind="stable")[:, : c.number("n_used")]
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    weights = np.take_along_axis(weights, chosen, 1)
    if c.op.attrs["renormalise"]:
        weights /= weights.sum(1, keepdims=True)
    out = np.zeros((len(x), down.shape[1]), x.dtype)
    for row, experts in enumerate(chosen):
        for e, weight in zip(experts, weights[row], strict=True):
            out[row] += weight * (down[e] @ (_silu(gate[e] @ x[row]) * (up[e] @ x[row])))
    return [out + c.x[1] if len(c.x) == 2 else out]


def sigmoid_gate(c: Call) -> list[Array]:
    x, y = c.x
    return [y * (1 / (1 + np.exp(-(x @ c.w[0]))))[:, None]]


def silu_mul(c: Call) -> list[Array]:
    return [_silu(c.x[0]) * c.x[1]]


def add(c: Call) -> list[Array]:
    return [c.x[0] + c.x[1]]


def take_rows(c: Call) -> list[Array]:
    return [c.x[0][list(c.batch.logit_rows)]]


OPS: dict[str, Callable[[Call], list[Array]]] = {
    f.__name__: f
    for f in (embed, rms_norm, linear, moe, rope, attention, sigmoid_gate, silu_mul, add, take_rows)
}


def _norm(x: Array, w: Array, eps: Any) -> Array:
    mean_square = (x * x).mean(-1, keepdims=True)
    normed: Array = x * (1 / np.sqrt(mean_square + x.dtype.type(eps))) * w
    return normed


def _silu(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) = inf gives the right limit, -0
        activated: Array = x / (1 + np.exp(-x))
    return activated


def _rotate(c: Call, heads: Array, inv_freq: Array, mscale: Any = 1.0) -> Array:
    """Rotate pairs of dimensions of [T, heads, dim]; angles are float64 products."""
    angles = np.outer(np.asarray(c.batch.positions, np.float64), inv_freq.astype(np.float64))
    turn = np.stack([np.cos(angles), np.sin(angles)])[:, :, None].astype(heads.dtype)
    cos, sin = turn * heads.dtype.type(mscale)
    half = inv_freq.shape[0]
    if c.op.attrs["mode"] == "interleaved":
        first, second = slice(0, 2 * half, 2), slice(1, 2 * half, 2)
    else:
        first, second = slice(0, half), slice(half, 2 * half)
    a, b = heads[..., first], heads[..., second]
    turned = heads.copy()
    turned[..., first], turned[..., second] = a * cos - b * sin, a * sin + b * cos
    return turned


def _sequences(batch: Batch) -> Iterator[tuple[int, slice]]:
    for i, seq in enumerate(batch.seq_ids):
        yield seq, slice(batch.seq_starts[i], batch.seq_starts[i + 1])


def _extend(c: Call, seq: int, k: Array, v: Array, rows: slice) -> tuple[Array, Array]:
    """Append rows to a sequence's cache; a position below its end discards what follows it."""
    key = (c.number("layer"), seq)
    old_k, old_v = c.cache.get(key, (k[:0], v[:0]))
    start = c.batch.positions[rows.start] if len(k) else len(old_k)
    assert start <= len(old_k), "positions must continue the sequence"
    c.cache[key] = np.concatenate([old_k[:start], k]), np.concatenate([old_v[:start], v])
    return c.cache[key]


def _attend(q: Array, keys: Array, values: Array, scale: float) -> Array:
    """One query [heads, dim] over keys [n, kv_heads, dim] and values [n, kv_heads, v_dim]."""
    share = q.shape[0] // keys.shape[1]  # query heads that read the same k and v
    keys, values = keys.repeat(share, 1), values.repeat(share, 1)
    scores = np.einsum("hd,nhd->hn", q, keys) * q.dtype.type(scale)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    out: Array = np.einsum("hn,nhv->hv", weights, values)
    return out
