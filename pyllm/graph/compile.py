"""Turn a plan into a program of the C++ core, which few files import (test_source_rules.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm import _core
from pyllm.config import ModelConfig
from pyllm.engine.interrupt import StepInterrupted
from pyllm.errors import DeviceError
from pyllm.graph.graph import Op, Value
from pyllm.graph.hidden import hidden_op
from pyllm.graph.plan import Plan
from pyllm.graph.weights import Weight
from pyllm.kv.types import KVTypes

PackedTensor = _core.PackedTensor
KVPool = _core.KVPool
WeightFile = _core.WeightFile
Operand = PackedTensor | npt.NDArray[np.float32]  # a matrix or a vector, ready for the core


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one step may hold; the core allocates for these once and never again."""

    max_seqs: int  # sequences in a step
    max_blocks: int  # KV blocks of one sequence


class CompiledProgram:
    """A model ready to run: fill `columns`, call `step`, read `columns`."""

    def __init__(self, program: _core.Program, kv_pool: KVPool | None, plan: Plan) -> None:
        self._program: _core.Program | None = program
        self._columns: dict[str, npt.NDArray[Any]] = program.columns  # made once: a step reads them
        self.mask_gate = _core.MaskGate()
        self.kv_pool = kv_pool
        self.plan = plan

    @property
    def core(self) -> _core.Program:
        """The core's own object; RuntimeError once the program is closed."""
        if self._program is None:
            raise RuntimeError("the model is closed")
        return self._program

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]:
        """Views into the core's memory: what a step reads and what it writes."""
        _ = self.core
        return self._columns

    def step(
        self, n_tokens: int, n_seqs: int, n_rows: int, history: Any = None, bias: Any = None,
        profile: bool = False, masks: Any = None, mask_gate: Any = None, dry: Any = None,
        n_hidden: int = 0,
    ) -> None:  # fmt: skip
        """Run the first `n_tokens`, `n_seqs` and `n_rows` entries of the columns; GIL released.

        history  (offsets int32 [n_rows + 1], tokens int32 [n], output_counts int32 [n])
        bias     (offsets int32 [n_rows + 1], tokens int32 [n], values float32 [n])
        masks    (rows int32 [m] ascending, words uint32 [m, ceil(n_vocab / 32)]): the tokens that
                 these rows may choose, bit t % 32 of word t / 32 allows token t
        mask_gate  `self.mask_gate` when somebody still writes the words and will open it
        dry      as bias, added where DRY stands in a row's order of samplers
        n_hidden  rows behind those: the step leaves their states after the final norm in the
                  column `hidden`, float32 [max rows, width], and computes no logits of them
        Raises ValueError naming the column that holds an impossible value, DeviceError when the
        model file cannot be read any more, StepInterrupted after `interrupt`.
        """
        core = self.core
        with _device_errors():
            finished = core.step(
                n_tokens, n_seqs, n_rows, history, bias, profile, masks, mask_gate, dry, n_hidden
            )
        if not finished:
            raise StepInterrupted

    def interrupt(self) -> None:
        """End the step that runs, or the next one when none does, after its current op.

        Returns at once; may be called from any thread, and after `close`.
        """
        if self._program is not None:
            self._program.interrupt()

    def sample(
        self,
        row: int,
        logits: npt.NDArray[np.float32],
        history: Any = None,
        bias: Any = None,
        masks: Any = None,
        dry: Any = None,
    ) -> None:
        """Sample a row of the last step from other logits, float32 [n_vocab].

        history, bias, masks, dry  as the step had them
        Raises ValueError when a logit is NaN or +infinity.
        """
        self.core.sample(row, logits, history, bias, masks, dry)

    def profile(self) -> list[tuple[int, str, int, int, int]]:
        """Return (op index, name, nanoseconds, bytes, multiply-adds) of the last profiled step."""
        return self.core.profile()

    def read(self, value: Value, n_rows: int) -> npt.NDArray[np.float32]:
        """Return a copy of a value's first rows, as the last step left them (for tests)."""
        return self.core.read(_place(self.plan, value), n_rows)

    @property
    def threads(self) -> int:
        """Threads of steps in which every sequence brings one token."""
        return self.core.threads

    @property
    def threads_batch(self) -> int:
        """Threads of all other steps: those that read a prompt."""
        return self.core.threads_batch

    def set_threads(self, n: int, n_batch: int | None = None) -> None:
        """`n_batch` None: as many; DeviceError when the system refuses, then nothing changes."""
        with _device_errors():
            self.core.set_threads(n, n_batch)

    def close(self) -> None:
        """Give the memory back; a second call does nothing."""
        self._program = None
        self._columns = {}  # each view keeps the whole program alive
        self.kv_pool = None


class PromptProgram:
    """Fills the KV cache with tokens of one sequence, a few ops of the model at a time.

    It has columns and activations of its own, so that it may stop after any op while the program
    beside it, whose weights and threads it shares, runs steps.
    """

    def __init__(self, core: _core.Program, max_tokens: int) -> None:
        self._core: _core.Program | None = core
        self.columns: Mapping[str, npt.NDArray[Any]] = core.columns
        self.max_tokens = max_tokens
        self.n_ops = core.n_ops

    def advance(self, n_tokens: int, first_op: int, seconds: float) -> int:
        """Run ops on the first `n_tokens` entries of the columns; GIL released.

        At least op `first_op`, and those after it that are likely to end within so many seconds.
        Returns the op to go on with; all have run when it is `n_ops`. Until then nobody may
        change the columns. Raises as `CompiledProgram.step` does.
        """
        if self._core is None:
            raise RuntimeError("the model is closed")
        with _device_errors():
            return self._core.advance(n_tokens, 1, first_op, seconds)

    @property
    def longest_op(self) -> float:
        """Seconds that the slowest op took when it ran last."""
        return 0.0 if self._core is None else self._core.longest_op

    def close(self) -> None:
        """Give the memory back; a second call does nothing."""
        self._core = None
        self.columns = {}


def compile_program(
    plan: Plan,
    operand: Callable[[Weight], Operand],
    kv_pool: KVPool | None,
    limits: Limits,
    threads: int,
    threads_batch: int | None = None,
) -> CompiledProgram:
    """Build the core's program; `operand` gives each weight in the form the core reads.

    Steps in which every sequence brings one token run on `threads` threads, others on
    `threads_batch`; None: as many.
    """
    ops = [_op_dict(plan, op, operand) for op in plan.ops]
    sizes = _sizes(plan, limits, n_vocab=plan.result.width)
    last = hidden_op(plan.ops)
    hidden = None if last is None else _op_dict(plan, last, operand)
    with _device_errors():
        core = _core.Program(ops, kv_pool, sizes, threads, threads_batch, hidden)
        return CompiledProgram(core, kv_pool, plan)


def compile_prompt_program(
    plan: Plan,
    operand: Callable[[Weight], Operand],
    beside: CompiledProgram,
    max_blocks: int,
) -> PromptProgram:
    """Build what reads prompts into the cache of `beside`; `plan` has the ops of `prompt_ops`."""
    ops = [_op_dict(plan, op, operand) for op in plan.ops]
    sizes = _sizes(plan, Limits(max_seqs=1, max_blocks=max_blocks), n_vocab=0)
    core = _core.Program(ops, beside.kv_pool, sizes, threads=1)  # which starts no thread
    with _device_errors():
        core.share_threads(beside.core)
    return PromptProgram(core, plan.max_tokens)


def _sizes(plan: Plan, limits: Limits, n_vocab: int) -> dict[str, int]:
    return {
        "max_tokens": plan.max_tokens,
        "max_rows": plan.max_rows,
        "max_seqs": limits.max_seqs,
        "max_blocks": limits.max_blocks,
        "arena_floats": plan.arena_floats,
        "n_vocab": n_vocab,
    }


def make_kv_pool(config: ModelConfig, num_blocks: int, block_size: int, types: KVTypes) -> KVPool:
    """Reserve keys and values of all layers; memory is taken block by block on first use."""
    heads = config.n_kv_heads, config.head_dim, config.v_dim
    return KVPool(
        config.n_layers, *heads, block_size, num_blocks, k_type=types.keys, v_type=types.values
    )


def pack(weight: Weight, threads: int) -> PackedTensor:
    """Permute a matrix or a stack from the file's layout into the core's, now; GIL released."""
    rows, cols, raw = weight.matrix()
    with _device_errors():
        return PackedTensor.pack(weight.type, rows, cols, raw, threads)


def from_file(weight: Weight, file: WeightFile, offset: int) -> PackedTensor:
    """A matrix or stack of an open model file; each tile is packed by the first step that needs it.

    A stack whose matrices share tiles must be padded, so it is read and packed at once.
    """
    if not weight.whole_tiles:
        return pack(weight, 1)
    *stack, rows, cols = weight.shape
    return PackedTensor.from_file(weight.type, math.prod(stack) * rows, cols, file, offset)


@contextmanager
def _device_errors() -> Iterator[None]:
    """What the machine refuses, such as another thread, as our error."""
    try:
        yield
    except RuntimeError as error:
        raise DeviceError(str(error)) from None


def _op_dict(plan: Plan, op: Op, operand: Callable[[Weight], Operand]) -> dict[str, Any]:
    return {
        "op": op.name,
        "inputs": [_place(plan, value) for value in op.inputs],
        "outputs": [_place(plan, value) for value in op.outputs],
        "weights": [None if weight is None else operand(weight) for weight in op.weights],
        "attrs": dict(op.attrs),
    }


def _place(plan: Plan, value: Value) -> tuple[int, int, str]:
    return plan.offsets[value], value.width, value.rows
