"""Which sequences run in the next step, and how many tokens of each."""

from __future__ import annotations

import time
from collections import deque
from itertools import chain

from pyllm.errors import RequestError
from pyllm.kv_cache import KVCache
from pyllm.sequence import Sequence


class Scheduler:
    """First come, first served: decodes first, then prompts in chunks, within a token budget.

    A sequence is admitted once blocks for all its known tokens are free, so only a decode that
    crosses into a new block can find none; then the youngest sequence gives its blocks back and
    is computed again later. The oldest is never the victim of a younger one, so all of them end.

    Invariant: every running sequence is older than every waiting one.
    """

    def __init__(
        self,
        kv_cache: KVCache,
        *,
        max_num_seqs: int,
        max_num_batched_tokens: int,
        max_num_scored_tokens: int = 0,
    ) -> None:
        # Otherwise decodes alone could fill the budget for ever and a prompt would starve.
        if max_num_batched_tokens < max_num_seqs:
            limit = f"must be at least max_num_seqs ({max_num_seqs})"
            raise RequestError("max_num_batched_tokens", max_num_batched_tokens, limit)
        self.kv_cache = kv_cache
        self.max_num_seqs = max_num_seqs
        self.max_num_batched_tokens = max_num_batched_tokens
        self.max_num_scored_tokens = max_num_scored_tokens  # prompt tokens that need logits
        self._scored_left = 0
        self.running: list[Sequence] = []  # oldest first
        self.waiting: deque[Sequence] = deque()  # oldest first

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def schedule(self) -> list[Sequence]:
        """The sequences of the next step, decodes first; sets their `num_scheduled_tokens`."""
        self._scored_left = self.max_num_scored_tokens
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
            if budget and self._schedule_chunk(sequence, budget):
                budget -= sequence.num_scheduled_tokens
                scheduled.append(sequence)
        while budget and self._can_admit():
            sequence = self._admit()
            budget -= self._schedule_chunk(sequence, budget)
            scheduled.append(sequence)
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
        size = min(sequence.num_pending_tokens, budget)
        if sequence.next_scored < sequence.num_prompt_tokens:
            size = min(size, self._scored_left)
            self._scored_left -= size
        sequence.num_scheduled_tokens = size
        return sequence.num_scheduled_tokens

    def _can_admit(self) -> bool:
        if not self.waiting or len(self.running) >= self.max_num_seqs:
            return False
        first = self.waiting[0]
        if not self._scored_left and first.next_scored < first.num_prompt_tokens:
            return False
        # One spare block for each that runs: it will need it within block_size tokens, and
        # admitting without it would soon preempt what was admitted.
        needed = self.kv_cache.blocks_for(len(first.tokens)) + len(self.running)
        return needed <= self.kv_cache.num_free_blocks

    def _admit(self) -> Sequence:
        sequence = self.waiting.popleft()
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
