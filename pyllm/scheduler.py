"""Which sequences run in the next step, and how many tokens of each."""

from __future__ import annotations

import sys
import time
from collections import deque
from itertools import chain

from pyllm.errors import RequestError
from pyllm.kv_cache import MOST_LOADED_BYTES, KVCache
from pyllm.sequence import Sequence


class Scheduler:
    """First come, first served: decodes first, then prompts in chunks, within a token budget.

    A sequence is admitted once blocks for all its known tokens are free (a prefix that is cached
    needs none, one that another computes in this step is waited for), so only a decode that
    crosses into a new block can find none; then the youngest sequence gives its blocks back and
    is computed again later. The oldest is never the victim of a younger one, so all of them end.

    Invariant: every running sequence is older than every waiting one.
    """

    def __init__(
        self, kv_cache: KVCache, *, max_num_seqs: int, max_num_batched_tokens: int
    ) -> None:
        # Otherwise decodes alone could fill the budget for ever and a prompt would starve.
        if max_num_batched_tokens < max_num_seqs:
            limit = f"must be at least max_num_seqs ({max_num_seqs})"
            raise RequestError("max_num_batched_tokens", max_num_batched_tokens, limit)
        self.kv_cache = kv_cache
        self.max_num_seqs = max_num_seqs
        self.max_num_batched_tokens = max_num_batched_tokens
        self.running: list[Sequence] = []  # oldest first
        self.waiting: deque[Sequence] = deque()  # oldest first

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def schedule(self) -> list[Sequence]:
        """The sequences of the next step, decodes first; sets their `num_scheduled_tokens`."""
        self.kv_cache.begin_step()
        # decode
        scheduled = []
        prefills = []
        for sequence in self.running:  # preempting removes from its end: none that was visited
            if sequence.num_pending_tokens > 1:
                prefills.append(sequence)
                continue
            while not self.kv_cache.grow(sequence, len(sequence.tokens)):
                if self._preempt_youngest() is sequence:
                    break
            else:
                sequence.num_scheduled_tokens = 1
                scheduled.append(sequence)
        # prefill
        budget = self.max_num_batched_tokens - len(scheduled)
        for sequence in prefills:
            if budget:
                budget -= self._schedule_chunk(sequence, budget)
                scheduled.append(sequence)
        while budget and (admitted := self._admit()):
            budget -= self._schedule_chunk(admitted, budget)
            scheduled.append(admitted)
        return scheduled

    def finish(self, sequence: Sequence) -> None:
        """Forget a sequence, wherever it is, and free its blocks."""
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self.waiting.remove(sequence)
        self.kv_cache.release(sequence)

    def has_unfinished(self) -> bool:
        return bool(self.running or self.waiting)

    def _schedule_chunk(self, sequence: Sequence, budget: int) -> int:
        sequence.num_scheduled_tokens = min(sequence.num_pending_tokens, budget)
        self.kv_cache.announce(sequence)
        return sequence.num_scheduled_tokens

    def _admit(self) -> Sequence | None:
        """Let the oldest waiting sequence run, from what is cached of it on; None: not yet."""
        if not self.waiting or len(self.running) >= self.max_num_seqs:
            return None
        sequence = self.waiting[0]
        prefix = self.kv_cache.lookup(sequence)
        # What another computes in this very step is there in the next: no need to do it twice.
        if self.kv_cache.is_underway(sequence, prefix):
            return None
        # One spare block for each that runs: it will need it within block_size tokens, and
        # admitting without it would soon preempt what was admitted.
        needed = self.kv_cache.num_missing_blocks(len(sequence.tokens), prefix) + len(self.running)
        if needed > self.kv_cache.num_free_blocks:
            return None
        # A long prefix is read over several steps when others would wait for it.
        most_bytes = MOST_LOADED_BYTES if self.running else sys.maxsize
        if self.kv_cache.load(sequence, prefix, most_bytes=most_bytes) and self.running:
            return None
        self.waiting.popleft()
        self.kv_cache.attach(sequence, prefix)
        self.kv_cache.grow(sequence, len(sequence.tokens))
        self.running.append(sequence)
        if sequence.first_scheduled_time is None:
            sequence.first_scheduled_time = time.perf_counter()
        return sequence

    def _preempt_youngest(self) -> Sequence:
        sequence = self.running.pop()
        self.kv_cache.release(sequence)
        sequence.num_preemptions += 1
        self.waiting.appendleft(sequence)
        return sequence

    def check(self) -> None:
        """Assert the invariants, for tests."""
        self.kv_cache.check(chain(self.running, self.waiting))
        assert len(self.running) <= self.max_num_seqs
        assert not any(sequence.block_table for sequence in self.waiting)
