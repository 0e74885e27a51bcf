"""Steps of a loaded model with made-up tokens: what `pyllm bench` measures.

The program is driven through its columns as the engine does, without requests or text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyllm.sampling.greedy import ask_greedily

__all__ = ["BenchModel", "Stepper"]


class BenchProgram(Protocol):
    """The part of a compiled program that a bench uses."""

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]: ...

    def step(self, n_tokens: int, n_seqs: int, n_rows: int, *, profile: bool = False) -> None: ...

    def profile(self) -> list[tuple[int, str, int, int, int]]: ...

    def set_threads(self, n: int, n_batch: int | None = None) -> None: ...


class BenchModel(Protocol):
    """The part of a loaded model that a bench uses."""

    @property
    def program(self) -> Any: ...
    @property
    def max_model_len(self) -> int: ...
    @property
    def num_kv_blocks(self) -> int: ...


class Stepper:
    """One sequence that owns all KV blocks; any range of its positions can be computed.

    profile  steps of a range → their per-op timings are in `profiles`
    """

    def __init__(self, model: BenchModel, n_vocab: int) -> None:
        self._program: BenchProgram = model.program
        columns = self._program.columns
        # There are fewer blocks than places when a window slides: they take turns.
        places = np.arange(columns["block_tables"].shape[1])
        columns["block_tables"][0] = places % model.num_kv_blocks
        # Greedy: choosing the token is part of a step, drawing random numbers is not the point.
        ask_greedily(columns, 1)
        self._columns = columns
        rng = np.random.default_rng(0)
        self._tokens = rng.integers(0, n_vocab, model.max_model_len, dtype=np.int32)
        self.profiling = False
        self.profiles: list[list[tuple[int, str, int, int, int]]] = []

    def set_threads(self, n: int, n_batch: int) -> None:
        self._program.set_threads(n, n_batch)

    def prompt(self, start: int, count: int, batch: int) -> float:
        """Computes `count` tokens from position `start` in chunks of `batch`; seconds."""
        began_s = time.perf_counter()
        for first in range(start, start + count, batch):
            end = min(first + batch, start + count)
            self._step(first, end, n_rows=int(end == start + count))
        return time.perf_counter() - began_s

    def generate(self, start: int, count: int) -> float:
        """Computes `count` tokens from position `start` one by one; seconds."""
        began_s = time.perf_counter()
        for position in range(start, start + count):
            self._step(position, position + 1, n_rows=1)
        return time.perf_counter() - began_s

    def _step(self, first: int, end: int, n_rows: int) -> None:
        count = end - first
        columns = self._columns
        columns["tokens"][:count] = self._tokens[first:end]
        columns["positions"][:count] = np.arange(first, end)
        columns["seq_starts"][:2] = (0, count)
        columns["logit_rows"][0] = count - 1
        columns["rng_position"][0] = end
        self._program.step(count, 1, n_rows, profile=self.profiling)
        if self.profiling:
            self.profiles.append(self._program.profile())
