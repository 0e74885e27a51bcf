"""Small rewrites that save passes over memory and thread barriers; none of them changes a bit.

A llama layer is recorded as 15 ops and leaves as 5: norm + qkv, attention, output + residual,
norm + gate/up + silu_mul, down + residual. With experts it leaves as 4: the last two are one moe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyllm.graph.dataflow import read_counts, writers
from pyllm.graph.graph import Attr, Op, Value
from pyllm.graph.late_rows import late_rows
from pyllm.graph.weights import Weight

PRODUCTS = ("linear", "moe")  # ops that take a norm as their first weight, and a residual

Rewrite = Callable[[Sequence[Op]], list[Op]]


def fuse(ops: Sequence[Op]) -> list[Op]:
    """Apply every rewrite once, in order; the last op keeps writing the last value."""
    for rewrite in REWRITES:
        ops = rewrite(ops)
    return list(ops)


def share_input(ops: Sequence[Op]) -> list[Op]:
    """linear(x, a) .. linear(x, b)  becomes  linear(x, a, b): x is quantised once, one barrier."""
    fused: list[Op] = []
    first_at: dict[Value, int] = {}
    for op in ops:
        at = first_at.get(op.inputs[0]) if op.name == "linear" else None
        if at is not None and op is not ops[-1]:  # the program's result stays in the last op
            first = fused[at]
            fused[at] = Op(
                "linear", op.inputs, first.outputs + op.outputs,
                first.weights + op.weights[1:], first.attrs,
            )  # fmt: skip
            continue
        if op.name == "linear":
            first_at[op.inputs[0]] = len(fused)
        fused.append(op)
    return fused


def norm_into_linear(ops: Sequence[Op]) -> list[Op]:
    """rms_norm -> linear or moe  becomes one op that normalises while it quantises."""
    uses, norms, fused = read_counts(ops), writers(ops, "rms_norm"), _Program()
    for op in ops:
        norm = norms.get(op.inputs[0]) if op.name in PRODUCTS else None
        if norm and norm.attrs["group"] == 0 and uses[norm.outputs[0]] == 1:
            fused.drop(norm)
            attrs = {**op.attrs, "eps": norm.attrs["eps"]}
            op = Op(op.name, norm.inputs, op.outputs, norm.weights + op.weights[1:], attrs)
        fused.append(op)
    return fused.ops()


def gate_into_linear(ops: Sequence[Op]) -> list[Op]:
    """linear(x, gate, up) -> silu_mul  becomes a linear that combines its two products."""
    uses, linears, fused = read_counts(ops), writers(ops, "linear"), _Program()
    for op in ops:
        pair = linears.get(op.inputs[0]) if op.name == "silu_mul" else None
        if pair and pair.outputs == op.inputs and all(uses[v] == 1 for v in pair.outputs):
            fused.drop(pair)
            op = Op(
                "linear", pair.inputs, op.outputs, pair.weights,
                {**pair.attrs, "combine": "silu_mul"},
            )  # fmt: skip
        fused.append(op)
    return fused.ops()


def residual_into_linear(ops: Sequence[Op]) -> list[Op]:
    """add(x, linear(y))  becomes  linear(y, residual=x), which may write over x; so does a moe."""
    uses, producers, fused = read_counts(ops), writers(ops), _Program()
    for op in ops:
        for product, residual in (op.inputs, op.inputs[::-1]) if op.name == "add" else ():
            source = producers.get(product)
            if source and uses[product] == 1 and _takes_residual(source):
                fused.drop(source)
                inputs = (source.inputs[0], residual)
                op = Op(source.name, inputs, op.outputs, source.weights, source.attrs)
                break
        fused.append(op)
    return fused.ops()


def heads_into_attention(ops: Sequence[Op]) -> list[Op]:
    """Per-head norms and rotation of q and k move into the attention that reads them."""
    for prologue in (_rope_prologue, _norm_prologue):  # a model normalises, then rotates
        ops = _absorb_head_ops(ops, prologue)
    return list(ops)


REWRITES: tuple[Rewrite, ...] = (
    late_rows, share_input, norm_into_linear, gate_into_linear, residual_into_linear,
    heads_into_attention,
)  # fmt: skip

# (attention, op that writes q, op that writes k) -> the attention that does their work, if it can
Prologue = Callable[[Op, Op | None, Op | None], Op | None]


class _Program:
    """A list of ops from which earlier ones are dropped in constant time."""

    def __init__(self) -> None:
        self._by_result: dict[Value, Op] = {}  # in program order; a first output names its op

    def append(self, op: Op) -> None:
        self._by_result[op.outputs[0]] = op

    def drop(self, op: Op) -> None:
        del self._by_result[op.outputs[0]]

    def ops(self) -> list[Op]:
        return list(self._by_result.values())


def _absorb_head_ops(ops: Sequence[Op], prologue: Prologue) -> list[Op]:
    uses, producers, fused = read_counts(ops), writers(ops), _Program()
    for op in ops:
        if op.name == "attention" and all(uses[v] == 1 for v in op.inputs[:2]):
            q, k = (producers.get(v) for v in op.inputs[:2])
            taken = prologue(op, q, k)
            if q and k and taken:
                fused.drop(q)
                fused.drop(k)
                op = taken
        fused.append(op)
    return fused.ops()


def _rope_prologue(attention: Op, q: Op | None, k: Op | None) -> Op | None:
    if not (q and k and q.name == k.name == "rope" and q.weights == k.weights):
        return None
    if attention.weights != (None, None, None) or _differ(q, k, ("mode", "mscale")):
        return None
    if not _per_head(attention, q, k, "head_dim") or q.attrs["mscale"] != 1.0:
        return None
    attrs = {**attention.attrs, "rope_dim": q.attrs["rope_dim"], "mode": q.attrs["mode"]}
    return _with_prologue(attention, q, k, (None, None, q.weights[0]), attrs)


def _norm_prologue(attention: Op, q: Op | None, k: Op | None) -> Op | None:
    if not (q and k and q.name == k.name == "rms_norm") or _differ(q, k, ("eps",)):
        return None
    if attention.weights[:2] != (None, None) or not _per_head(attention, q, k, "group"):
        return None
    weights = (q.weights[0], k.weights[0], attention.weights[2])
    return _with_prologue(attention, q, k, weights, {**attention.attrs, "eps": q.attrs["eps"]})


def _with_prologue(
    attention: Op, q: Op, k: Op, weights: tuple[Weight | None, ...], attrs: dict[str, Attr]
) -> Op:
    inputs = (q.inputs[0], k.inputs[0], attention.inputs[2])
    return Op("attention", inputs, attention.outputs, weights, attrs)


def _takes_residual(op: Op) -> bool:
    if op.name not in PRODUCTS or len(op.inputs) != 1 or len(op.outputs) != 1:
        return False
    return op.attrs.get("combine", "none") == "none"


def _per_head(attention: Op, q: Op, k: Op, name: str) -> bool:
    return q.attrs[name] == k.attrs[name] == attention.attrs["head_dim"]


def _differ(a: Op, b: Op, names: Sequence[str]) -> bool:
    return any(a.attrs[name] != b.attrs[name] for name in names)
