"""Hand-built programs of the C++ core: values side by side in the arena, inputs from tables.

A program's only inputs are token ids, so a test puts the rows it wants into an embedding table
and asks for rows 0, 1, 2, …
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm import _core

F32, F16 = 0, 1
Floats = npt.NDArray[np.float32]
PyValue = tuple[int, int, str]


def pack_f32(matrix: npt.ArrayLike) -> _core.PackedTensor:
    rows = np.ascontiguousarray(matrix, np.float32)
    return _core.PackedTensor.pack(F32, rows.shape[0], rows.shape[1], rows, 1)


class ProgramBuilder:
    """Appends ops and places every output after the one before; nothing is shared."""

    def __init__(self, max_tokens: int, max_rows: int = 0, max_seqs: int = 1, max_blocks: int = 1):
        self.ops: list[dict[str, Any]] = []
        self.limits = {
            "max_tokens": max_tokens, "max_rows": max_rows, "max_seqs": max_seqs,
            "max_blocks": max_blocks, "arena_floats": 0, "n_vocab": 0,
        }  # fmt: skip

    def value(self, width: int, rows: str = "T") -> PyValue:
        offset = self.limits["arena_floats"]
        n_rows = self.limits["max_tokens" if rows == "T" else "max_rows"]
        self.limits["arena_floats"] += -(-width * n_rows // 16) * 16
        return offset, width, rows

    def op(
        self, name: str, inputs: list[PyValue], widths: list[int], weights: list[Any] | None = None,
        rows: str = "T", **attrs: Any,
    ) -> list[PyValue]:  # fmt: skip
        outputs = [self.value(width, rows) for width in widths]
        self.ops.append(
            {"op": name, "inputs": inputs, "outputs": outputs, "weights": weights or [],
             "attrs": attrs}
        )  # fmt: skip
        return outputs

    def rows(self, table: npt.ArrayLike) -> PyValue:
        """A T value whose row for token i is table[i]."""
        packed = pack_f32(table)
        return self.op("embed", [], [packed.cols], [packed], scale=1.0)[0]

    def build(
        self, kv: _core.KVPool | None = None, threads: int = 1, n_vocab: int = 0
    ) -> _core.Program:
        return _core.Program(self.ops, kv, {**self.limits, "n_vocab": n_vocab}, threads)


def run_rows(program: _core.Program, tokens: npt.ArrayLike, n_rows: int = 0) -> None:
    """One step of one sequence from position 0."""
    ids = np.asarray(tokens)
    c = program.columns
    c["tokens"][: len(ids)] = ids
    c["positions"][: len(ids)] = np.arange(len(ids))
    c["seq_starts"][:2] = 0, len(ids)
    program.step(len(ids), 1, n_rows)
