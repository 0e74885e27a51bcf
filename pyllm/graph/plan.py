"""Give every activation a fixed place in one arena, by liveness.

A value lives from the op that writes it to the last op that reads it; two values share floats
only when their lives do not overlap. A residual that ends in a `linear` or a `moe` is overwritten
in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyllm.graph.graph import Op, Value

ALIGN_FLOATS = 16  # one cache line


@dataclass(frozen=True, slots=True)
class Plan:
    """Ops with an arena offset (in floats) for every value; rows of a value are contiguous."""

    ops: tuple[Op, ...]
    offsets: dict[Value, int]
    arena_floats: int
    max_tokens: int  # rows of class T
    max_rows: int  # rows of class R

    @property
    def result(self) -> Value:
        """The value the last op writes: the logits."""
        return self.ops[-1].outputs[-1]

    @property
    def expert_floats(self) -> int:
        """Floats that rows take inside the largest `moe`, one row for each expert used; at most."""
        return max((self._expert_floats(op) for op in self.ops if op.name == "moe"), default=0)

    def _expert_floats(self, op: Op) -> int:
        n_used, n_ff, width = int(op.attrs["n_used"]), int(op.attrs["n_ff"]), op.outputs[0].width
        n_rows = self.max_tokens if op.outputs[0].rows == "T" else self.max_rows
        return n_rows * n_used * (n_ff + width + max(n_ff, width))


@dataclass(slots=True)
class _Buffer:
    """Values that share one place because each overwrites the one before it."""

    values: list[Value]
    size: int  # floats
    first: int  # index of the op that writes it first
    last: int  # index of the last op that reads it
    offset: int = 0


def plan(ops: Sequence[Op], max_tokens: int, max_rows: int) -> Plan:
    """Place the values of `ops` for at most `max_tokens` T rows and `max_rows` R rows."""
    sizes = {"T": max_tokens, "R": max_rows}
    buffers = _buffers(ops, sizes)
    alive: list[list[_Buffer]] = [[] for _ in range(len(ops) + 1)]  # placed buffers, for each op
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first)):  # big ones first pack tightest
        lifetime = alive[buffer.first : buffer.last + 1]
        buffer.offset = _lowest_gap(buffer, {id(b): b for at_op in lifetime for b in at_op})
        for at_op in lifetime:
            at_op.append(buffer)
    offsets = {value: buffer.offset for buffer in buffers for value in buffer.values}
    arena_floats = max((b.offset + b.size for b in buffers), default=0)
    return Plan(tuple(ops), offsets, arena_floats, max_tokens, max_rows)


def _buffers(ops: Sequence[Op], sizes: dict[str, int]) -> list[_Buffer]:
    last_read = {value: i for i, op in enumerate(ops) for value in op.inputs}
    last_read |= dict.fromkeys(ops[-1].outputs, len(ops))  # the result outlives the program
    buffers: list[_Buffer] = []
    holder: dict[Value, _Buffer] = {}
    for i, op in enumerate(ops):
        for value in op.outputs:
            last = last_read.get(value, i)
            residual = _overwritable(op)
            if residual and last_read[residual] == i:
                buffer = holder[residual]
                buffer.values.append(value)
                buffer.last = last
            else:
                size = _aligned(value.width * sizes[value.rows])
                buffer = _Buffer([value], size, first=i, last=last)
                buffers.append(buffer)
            holder[value] = buffer
    return buffers


def _overwritable(op: Op) -> Value | None:
    """The residual an op may write its result over; a linear still reads its own input then."""
    if op.name not in ("linear", "moe") or len(op.inputs) < 2:
        return None
    x, residual = op.inputs
    return None if op.name == "linear" and residual == x else residual


def _lowest_gap(buffer: _Buffer, in_the_way: Mapping[int, _Buffer]) -> int:
    offset = 0
    for other in sorted(in_the_way.values(), key=lambda b: b.offset):
        if offset + buffer.size <= other.offset:
            break
        offset = max(offset, other.offset + other.size)
    return offset


def _aligned(floats: int) -> int:
    return -(-floats // ALIGN_FLOATS) * ALIGN_FLOATS
