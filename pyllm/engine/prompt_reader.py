"""Reads a prompt in slices: a few of its tokens, a few ops of the model beside each step.

Far into a prompt a token alone reads the keys and values of all before it, which takes as long as a
step of others. Several tokens share that, and stop after any op, so that nobody waits for all of
it. At 16,000 tokens of a 1B model one token takes 28 ms; 16 take 18 ms each, in pieces of 15 ms.
"""

from __future__ import annotations

import time

from pyllm.engine.batch import Batch
from pyllm.engine.counters import EngineCounters
from pyllm.engine.model import PromptProgram
from pyllm.engine.scheduler import Scheduler
from pyllm.engine.sequence import Sequence

__all__ = ["PromptReader"]

_FIRST_TOKENS = 4  # of the chunk that shows how long ops take
_LONGEST_OP = 0.5  # of a slice, which ends with an op: where more would take longer, fewer are read
# After so many a step reads a chunk itself, which shows whether slices are still the better way.
_CHUNKS_BETWEEN_STEPS = 16


class PromptReader:
    """At work on one chunk of one sequence, or on none. Results are those of whole steps."""

    def __init__(
        self, program: PromptProgram, scheduler: Scheduler, counters: EngineCounters
    ) -> None:
        self._program = program
        self._scheduler = scheduler
        self._counters = counters
        self._batch = Batch(program.columns)
        self._sequence: Sequence | None = None
        self._first = self._next_op = 0
        self._count = _FIRST_TOKENS // 2
        self._limit, self._slice_seconds = 1, 0.0
        self._table: list[int] = []
        self._put_off = False
        self._num_chunks = 0  # since a step read one

    def prepare(self, limit: int, slice_seconds: float) -> bool:
        """Whether a prompt goes on here; it has blocks for its chunk then.

        That is the first that runs, unless a chunk of another is not yet finished.

        limit          tokens that a step may read; who has no more to read has no need of slices
        slice_seconds  how long slices shall take
        """
        self._slice_seconds = slice_seconds
        reserved = self._scheduler.reserve(limit, self._fitting_tokens())
        if reserved is None:
            return False
        if self._current() is None:
            if self._is_step_due():
                self._num_chunks = 0
                return False
            self._limit = limit
            self._begin(*reserved)
        return True

    def read(self, deadline: float) -> None:
        """Go on until about `deadline`, of `time.perf_counter()`, by an op at least.

        Nothing happens when the sequence has lost its blocks since `prepare`, nor where the others
        took so long that no time is left, but that never twice in a row.
        """
        self._put_off = not self._put_off and time.perf_counter() >= deadline
        if self._put_off:
            return
        while (sequence := self._current()) is not None:
            start = time.perf_counter()
            self._sequence = None  # nobody knows where ops stopped that raise
            finished = self._advance(deadline - start)
            end = time.perf_counter()
            self._counters.add_slice(self._count if finished else 0, end - start)
            if not finished:
                self._sequence = sequence
                return
            self._num_chunks += 1
            sequence.num_computed_tokens += self._count
            if sequence.num_computed_tokens >= sequence.settle_at:
                self._scheduler.kv_cache.settle(sequence)
            if end >= deadline or self._is_step_due():
                return
            if not self.prepare(self._limit, self._slice_seconds):
                return

    def _is_step_due(self) -> bool:
        return self._num_chunks >= _CHUNKS_BETWEEN_STEPS

    def _fitting_tokens(self) -> int:
        """Of a chunk whose ops are short enough; twice the last at most, which tells of those."""
        fitting = _LONGEST_OP * self._slice_seconds * self._count
        most = min(2 * self._count, self._program.max_tokens)
        return max(1, min(most, int(fitting / max(self._program.longest_op, 1e-9))))

    def _current(self) -> Sequence | None:
        """Of which a chunk is being read; None when what was begun, if anything, is of no use.

        That is so when the sequence lost its blocks, or a step computed these tokens.
        """
        sequence = self._sequence
        if sequence is None or sequence.num_computed_tokens != self._first:
            return None
        return sequence if sequence.block_table is self._table else None

    def _begin(self, sequence: Sequence, count: int) -> None:
        assert 0 < count < sequence.num_pending_tokens, "only a step samples"
        sequence.num_scheduled_tokens = count
        self._batch.fill([sequence])
        sequence.num_scheduled_tokens = 0
        self._sequence, self._count, self._next_op = sequence, count, 0
        self._first, self._table = sequence.num_computed_tokens, sequence.block_table

    def _advance(self, seconds: float) -> bool:
        """True: the chunk is computed."""
        self._next_op = self._program.advance(self._count, self._next_op, seconds)
        return self._next_op == self._program.n_ops
