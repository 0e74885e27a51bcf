"""What the engine needs of a model: a program to step, and the numbers that describe it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pyllm.engine.batch import Arrays, Columns
from pyllm.sampling.logits_processors import RowSampler

if TYPE_CHECKING:
    from pyllm.pooling.pooling import ModelPooling
    from pyllm.structured.mask_writer import Gate
    from pyllm.tokenizer import Tokenizer

__all__ = ["EngineModel", "Program", "PromptProgram"]


class Program(RowSampler, Protocol):
    """What the engine needs of a compiled program."""

    @property
    def columns(self) -> Columns: ...
    @property
    def mask_gate(self) -> Gate: ...

    def step(
        self,
        n_tokens: int,
        n_seqs: int,
        n_rows: int,
        history: Arrays | None = None,
        bias: Arrays | None = None,
        *,
        masks: Arrays | None = None,
        mask_gate: Gate | None = None,
        dry: Arrays | None = None,
        n_hidden: int = 0,
    ) -> None: ...

    def interrupt(self) -> None: ...


class PromptProgram(Protocol):
    """What the engine needs of a program that reads prompts in slices."""

    @property
    def columns(self) -> Columns: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def n_ops(self) -> int: ...
    @property
    def longest_op(self) -> float: ...
    def advance(self, n_tokens: int, first_op: int, seconds: float) -> int: ...


class EngineModel(Protocol):
    """What the engine needs of a loaded model."""

    @property
    def program(self) -> Program: ...
    @property
    def prompt_program(self) -> PromptProgram | None: ...  # None: prompts are read in whole steps
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def max_model_len(self) -> int: ...
    @property
    def num_kv_blocks(self) -> int: ...
    @property
    def block_size(self) -> int: ...
    @property
    def kv_window(self) -> int: ...  # tokens that any layer still reads; 0: all of them
    @property
    def kv_cache_bytes(self) -> int: ...
    @property
    def pooling(self) -> ModelPooling: ...
    def close(self) -> None: ...
