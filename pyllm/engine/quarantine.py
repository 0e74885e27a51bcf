"""Who made a step fail? Its sequences run one at a time until the culprit fails alone."""

from __future__ import annotations

from collections.abc import Container

from pyllm.engine.scheduler import Scheduler
from pyllm.engine.sequence import Sequence


class Quarantine:
    """A suspect is computed again from its first token to its next new one, in an empty pool.

    Suspects stay in the scheduler's queue meanwhile, and are forgotten there by whoever ends them.
    """

    def __init__(self, suspects: list[Sequence]) -> None:
        self._suspects = suspects
        self._cleared_at = 0  # tokens of the first suspect that prove its innocence

    def next_step(self, scheduler: Scheduler, alive: Container[Sequence]) -> list[Sequence]:
        """The step of one suspect; empty when all are cleared. `alive`: those not yet ended."""
        while self._suspects:
            suspect = self._suspects[0]
            if suspect not in alive:
                del self._suspects[0]
                self._cleared_at = 0
            elif self._cleared_at and len(suspect.tokens) >= self._cleared_at:
                self._clear(scheduler, suspect)
            else:
                self._cleared_at = self._cleared_at or len(suspect.tokens) + 1
                return [self._chunk(scheduler, suspect)]
        return []

    def _clear(self, scheduler: Scheduler, suspect: Sequence) -> None:
        scheduler.kv_cache.release(suspect)
        del self._suspects[0]
        self._cleared_at = 0

    def _chunk(self, scheduler: Scheduler, suspect: Sequence) -> Sequence:
        if not suspect.block_table:
            scheduler.kv_cache.attach(suspect, [])
        size = min(suspect.num_pending_tokens, scheduler.max_num_batched_tokens)
        if suspect.is_scored:
            size = min(size, scheduler.max_num_scored_tokens)
        suspect.num_scheduled_tokens = size
        grown = scheduler.kv_cache.grow(suspect, suspect.num_computed_tokens + size)
        assert grown, "a lone sequence fits"
        return suspect
