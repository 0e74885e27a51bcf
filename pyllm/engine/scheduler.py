"""Which sequences run in the next step, and how many tokens of each."""

from __future__ import annotations

import sys
import time
from bisect import bisect_left, insort
from collections.abc import Callable
from itertools import chain, count
from typing import TYPE_CHECKING

from pyllm.engine.counters import EngineCounters
from pyllm.engine.sequence import Sequence
from pyllm.errors import RequestError
from pyllm.kv.cache import MOST_LOADED_BYTES, KVCache
from pyllm.kv.prefix_cache import CachedBlock
from pyllm.sampling.params import RequestOutputKind

if TYPE_CHECKING:
    from pyllm.speculation.speculator import Speculator


class Scheduler:
    """Decodes first, then prompts in chunks, within a token budget; lower rank goes first.

    A rank is (priority, number of arrival). Whoever lacks a block takes it from the last in rank,
    who is computed again later; the last itself waits, keeping what it has. A prompt starts with
    room for its first chunk only, in the hope that others end while it is read; one that was
    preempted has used up that hope, and starts again when all it will hold fits. It starts after
    what is cached of it, and waits for what another computes in the same step.

    Invariant, after every `schedule`: all who run rank before all who wait.

    Why everyone ends: the first in rank is never a victim and computes at least a token in every
    step (every second one, where chunk_limit says 0, or a part of one, where it is read in slices),
    because a lone sequence always fits the pool and the budget exceeds the decodes. So it ends, and
    the next is first. Only an endless stream of better priority can hold one up.

    max_num_scored_tokens          most tokens of a step, of prompts whose log-probabilities are
                                   wanted: each may take a row of logits. Shared out by rank, so
                                   the first in rank always has some
    chunk_limit(decodes, watched, depth)  most prompt tokens of a step in which `decodes` sequences
                                   decode, the first behind `depth` others; watched: somebody
                                   reads along. 0 never twice in a row, unless what `reserve`
                                   gave blocks to is read beside the steps
    on_admit(sequence)             it gets its first tokens in this step, or does so again
    """

    def __init__(
        self,
        kv_cache: KVCache,
        *,
        max_num_seqs: int,
        max_num_batched_tokens: int,
        max_num_scored_tokens: int = 0,
        chunk_limit: Callable[[int, bool, int], int] | None = None,
        on_admit: Callable[[Sequence], None] | None = None,
        speculator: Speculator | None = None,
        counters: EngineCounters | None = None,
    ) -> None:
        # Otherwise decodes alone could fill the budget for ever and a prompt would starve.
        if max_num_batched_tokens < max_num_seqs:
            limit = f"must be at least max_num_seqs ({max_num_seqs})"
            raise RequestError("max_num_batched_tokens", max_num_batched_tokens, limit)
        self.kv_cache = kv_cache
        self.max_num_seqs = max_num_seqs
        self.max_num_batched_tokens = max_num_batched_tokens
        self.max_num_scored_tokens = max_num_scored_tokens
        self.chunk_limit = chunk_limit
        self.on_admit = on_admit
        self.speculator = speculator
        self.counters = counters or EngineCounters()
        self.running: list[Sequence] = []  # by rank
        self.waiting: list[Sequence] = []  # by rank
        self._arrivals = count()
        self._scored_left = max_num_scored_tokens  # in this step

    def add(self, sequence: Sequence) -> None:
        sequence.rank = sequence.priority, next(self._arrivals)
        insort(self.waiting, sequence, key=_rank)

    def schedule(self) -> list[Sequence]:
        """The sequences of the next step, decodes first; sets their `num_scheduled_tokens`.

        Some, as long as there are any. Nothing is lost when the step is not run after all.
        """
        self.kv_cache.begin_step()
        self._scored_left = self.max_num_scored_tokens
        if self.waiting and self.running:
            self._admit_urgent()
        decodes = []
        chunks = []
        grow, block_size = self.kv_cache.grow, self.kv_cache.block_size
        budget = None  # prompt tokens, counted when a prompt is there to read
        # Blocks go by rank, so preempting, which removes from the end, never hits one visited.
        for ahead, sequence in enumerate(self.running):
            num_tokens = len(sequence.tokens)
            if num_tokens - sequence.num_computed_tokens == 1:
                # Nearly always there is room: no call, and no second one, for that.
                if (
                    num_tokens <= len(sequence.block_table) * block_size
                    or grow(sequence, num_tokens)
                    or self._grow(sequence)
                ):
                    sequence.num_scheduled_tokens = 1
                    decodes.append(sequence)
                continue
            if budget is None:
                budget = self._prompt_budget(sequence.num_computed_tokens)
            if budget:
                budget = self._schedule_chunk(sequence, budget, ahead)
                if sequence.num_scheduled_tokens:
                    chunks.append(sequence)
        while self.waiting and budget != 0:
            if self.waiting[0].is_scored and not self._scored_left:
                break
            prefix = self._prefix_to_start_after(self.waiting[0])
            if prefix is None:
                break
            if budget is None:
                budget = self._prompt_budget(len(prefix) * self.kv_cache.block_size)
                continue
            sequence = self._admit(prefix)
            budget = self._schedule_chunk(sequence, budget, len(self.running) - 1)
            chunks.append(sequence)
        if not decodes and not chunks and self.running:  # a limit of 0, and no decode found a block
            return self.schedule()
        if chunks:
            return decodes + chunks
        if self.speculator is not None and budget is None:
            self.speculator.draft(decodes, self.max_num_batched_tokens - len(decodes))
        return decodes

    def finish(self, sequence: Sequence) -> None:
        """Forget a sequence, wherever it is, and free its blocks."""
        if not _remove(self.running, sequence):
            removed = _remove(self.waiting, sequence)
            assert removed, "it was not here"
        self.kv_cache.release(sequence)

    def has_unfinished(self) -> bool:
        return bool(self.running or self.waiting)

    def reserve(self, limit: int, most: int) -> tuple[Sequence, int] | None:
        """Blocks for the next tokens of the first prompt that runs: up to `most`, not its last.

        Returns the sequence and how many; None when no prompt runs, `limit` tokens are all that is
        left of this one, its logits or states are wanted, or blocks are scarce.
        """
        for ahead, sequence in enumerate(self.running):
            if (pending := sequence.num_pending_tokens) > 1:
                size = min(most, pending - 1, self._room(sequence, ahead))
                if size < 1 or pending <= limit or sequence.is_scored or sequence.reads_hidden:
                    return None
                self.kv_cache.grow(sequence, sequence.num_computed_tokens + size)
                return sequence, size
        return None

    def _grow(self, sequence: Sequence) -> bool:
        """Blocks for all its tokens; False when the last in rank finds none."""
        while not self.kv_cache.grow(sequence, len(sequence.tokens)):
            if self.running[-1] is sequence:
                return False
            self._preempt_last()
        return True

    def _prompt_budget(self, depth: int) -> int:
        """Prompt tokens of this step; the first of them comes after `depth` others."""
        decoding = [s for s in self.running if s.num_pending_tokens == 1]
        budget = self.max_num_batched_tokens - len(decoding)
        if self.chunk_limit is None:
            return budget
        final = RequestOutputKind.FINAL_ONLY
        watched = any(s.params.output_kind is not final for s in decoding)
        return min(budget, self.chunk_limit(len(decoding), watched, depth))

    def _schedule_chunk(self, sequence: Sequence, budget: int, ahead: int) -> int:
        """Give it a chunk; returns what is left of the budget: nothing when blocks ran out.

        The chunk is empty, and the budget whole, when others have the rows for scores.

        Blocks for the `ahead` who rank before it stay free: each will soon need one, and would
        take it back together with all that was computed.
        """
        wanted = min(sequence.num_pending_tokens, budget)
        if sequence.is_scored:
            wanted = min(wanted, self._scored_left)
            if not wanted:
                sequence.num_scheduled_tokens = 0
                return budget
        while (room := self._room(sequence, ahead)) < 1 and self.running[-1] is not sequence:
            self._preempt_last()
        size = sequence.num_scheduled_tokens = max(0, min(wanted, room))
        if size:
            self.kv_cache.grow(sequence, sequence.num_computed_tokens + size)
            if sequence.is_scored:
                self._scored_left -= size
            else:  # for one that is read so slowly nobody should wait
                self.kv_cache.announce(sequence)
        return budget - size if size == wanted else 0

    def _room(self, sequence: Sequence, ahead: int) -> int:
        """Tokens it can compute in its own and in free blocks."""
        cache = self.kv_cache
        blocks = len(sequence.block_table) + max(0, cache.num_free_blocks - ahead)
        return blocks * cache.block_size - sequence.num_computed_tokens

    def _admit_urgent(self) -> None:
        """Let those in who rank before somebody that runs, at the expense of lower priority."""
        while self.waiting and self.running and self.waiting[0].rank < self.running[-1].rank:
            prefix = self._prefix_to_start_after(self.waiting[0], urgent=True)
            if prefix is None:
                self._preempt_last()
            else:
                self._admit(prefix)

    def _prefix_to_start_after(
        self, sequence: Sequence, *, urgent: bool = False
    ) -> list[CachedBlock] | None:
        """What is cached of a waiting sequence that has room to start; None: not yet."""
        cache = self.kv_cache
        if len(self.running) >= self.max_num_seqs:
            return None
        prefix = cache.lookup(sequence)
        # What another computes in this very step is there in the next: no need to do it twice.
        if cache.is_underway(sequence, prefix):
            return None
        if not self._has_room(sequence, prefix):
            return None
        # A long prefix is read from disk over several steps when others would wait for it.
        patient = bool(self.running) and not urgent
        most_bytes = MOST_LOADED_BYTES if patient else sys.maxsize
        if cache.load(sequence, prefix, most_bytes=most_bytes) and patient:
            return None
        # Asked again: what was read belongs to the prefix now and takes blocks itself.
        return prefix if self._has_room(sequence, prefix) else None

    def _has_room(self, sequence: Sequence, prefix: list[CachedBlock]) -> bool:
        cache = self.kv_cache
        num_cached = len(prefix) * cache.block_size
        tokens = len(sequence.tokens) - num_cached
        if sequence.num_preemptions == 0:
            tokens = min(tokens, self.max_num_batched_tokens)
        chunk = self.max_num_batched_tokens
        needed = cache.num_missing_blocks(num_cached + tokens, prefix, chunk)
        return needed + len(self.running) <= cache.num_free_blocks

    def _admit(self, prefix: list[CachedBlock]) -> Sequence:
        sequence = self.waiting.pop(0)
        self.kv_cache.attach(sequence, prefix)
        insort(self.running, sequence, key=_rank)
        if sequence.first_scheduled_time is None:
            sequence.first_scheduled_time = time.perf_counter()
        if self.on_admit is not None:
            self.on_admit(sequence)
        return sequence

    def _preempt_last(self) -> None:
        sequence = self.running.pop()
        self.kv_cache.release(sequence)
        sequence.num_scheduled_tokens = 0
        sequence.num_preemptions += 1
        self.counters.num_preemptions += 1
        insort(self.waiting, sequence, key=_rank)

    def check(self) -> None:
        """Assert the invariants, for tests."""
        self.kv_cache.check(chain(self.running, self.waiting))
        assert len(self.running) <= self.max_num_seqs
        assert not any(sequence.block_table for sequence in self.waiting)
        for group in (self.running, self.waiting):
            assert group == sorted(group, key=_rank)


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.rank


def _remove(group: list[Sequence], sequence: Sequence) -> bool:
    index = bisect_left(group, sequence.rank, key=_rank)
    if index == len(group) or group[index] is not sequence:
        return False
    del group[index]
    return True
