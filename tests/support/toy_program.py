"""Run a recorded program in the C++ core on the reference interpreter's batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm.graph.compile import (
    CompiledProgram,
    Limits,
    PromptProgram,
    compile_program,
    compile_prompt_program,
    make_kv_pool,
    pack,
)
from pyllm.graph.graph import Op, Value
from pyllm.graph.plan import Plan
from pyllm.graph.reference import Batch
from pyllm.kernels import prepare
from pyllm.kv.types import KVTypes

BLOCK_SIZE = 16
BLOCKS_PER_SEQ = 40  # 640 tokens
MAX_SEQS = 33


def compile_toy(plan: Plan, config: Any, threads: int = 1) -> CompiledProgram:
    """Pack the weights of a toy model and build its program; each sequence has its own blocks."""
    prepared = {w: _operand(w) for op in plan.ops for w in op.weights if w is not None}
    pool = make_kv_pool(config, MAX_SEQS * BLOCKS_PER_SEQ, BLOCK_SIZE, KVTypes())
    limits = Limits(MAX_SEQS, BLOCKS_PER_SEQ)
    return compile_program(plan, prepared.__getitem__, pool, limits, threads)


def compile_prompts(plan: Plan, beside: CompiledProgram) -> PromptProgram:
    """What reads prompts in slices, in the blocks of another program; `plan` is of prompt_ops."""
    prepared = {w: _operand(w) for op in plan.ops for w in op.weights if w is not None}
    return compile_prompt_program(plan, prepared.__getitem__, beside, BLOCKS_PER_SEQ)


def _operand(weight: Any) -> Any:
    if len(weight.shape) == 1:
        return weight.vector()
    prepare(weight.type)
    return pack(weight, 1)


def spread(ops: Sequence[Op], max_tokens: int, max_rows: int) -> Plan:
    """A plan in which no two values share a float, so every value can be read after a step."""
    sizes = {"T": max_tokens, "R": max_rows}
    offsets: dict[Value, int] = {}
    end = 0
    for value in (v for op in ops for v in op.outputs):
        offsets[value] = end
        end += -(-value.width * sizes[value.rows] // 16) * 16
    return Plan(tuple(ops), offsets, end, max_tokens, max_rows)


def run(program: CompiledProgram, batch: Batch, n_hidden: int = 0) -> npt.NDArray[np.float32]:
    """Logits [R - n_hidden, n_vocab] of one step; the last rows only leave hidden states."""
    columns = program.columns
    n_tokens, n_seqs, n_rows = len(batch.tokens), len(batch.seq_ids), len(batch.logit_rows)
    columns["tokens"][:n_tokens] = batch.tokens
    columns["positions"][:n_tokens] = batch.positions
    columns["seq_starts"][: n_seqs + 1] = batch.seq_starts
    columns["logit_rows"][:n_rows] = batch.logit_rows
    for row, seq in enumerate(batch.seq_ids):
        first = seq * BLOCKS_PER_SEQ
        columns["block_tables"][row, :BLOCKS_PER_SEQ] = range(first, first + BLOCKS_PER_SEQ)
    n_logits = n_rows - n_hidden
    program.step(n_tokens, n_seqs, n_logits, n_hidden=n_hidden)
    return np.array(columns["logits"][:n_logits])


def batch_of(parts: Sequence[tuple[int, int, Sequence[int]]]) -> Batch:
    """A step with logits for every token, from (sequence, first position, tokens)."""
    tokens = [token for _, _, part in parts for token in part]
    positions = [at + i for _, at, part in parts for i in range(len(part))]
    starts = np.cumsum([0] + [len(part) for _, _, part in parts]).tolist()
    return Batch(tokens, positions, starts, [seq for seq, _, _ in parts], range(len(tokens)))
