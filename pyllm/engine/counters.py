"""What an engine counts while it works: plain numbers, no locks, under a microsecond per step."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from pyllm.engine.stats import CancelPhase, EngineStats
from pyllm.histogram import Histogram
from pyllm.outputs import FinishReason
from pyllm.token_gaps import TokenGaps

if TYPE_CHECKING:
    from pyllm.engine.batch import Step
    from pyllm.engine.scheduler import Scheduler
    from pyllm.engine.sequence import Sequence
    from pyllm.request import Request

STEP_TOKENS_BOUNDS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)  # vLLM's


class EngineCounters:
    """Totals since the start, which outlive schedulers and caches; names as in EngineStats.

    Written on the engine's thread only.
    """

    __slots__ = (
        "_finished",
        "_gaps",
        "_step_tokens",
        "busy_seconds",
        "num_accepted_tokens",
        "num_cached_tokens",
        "num_cancelled",
        "num_computed_prompt_tokens",
        "num_corrupted",
        "num_draft_tokens",
        "num_drafts",
        "num_generated_tokens",
        "num_preemptions",
        "num_prompt_tokens",
        "num_scheduled",
        "num_steps",
    )

    def __init__(self) -> None:
        self.busy_seconds = 0.0
        self.num_accepted_tokens = self.num_draft_tokens = self.num_drafts = 0
        self.num_cached_tokens = self.num_prompt_tokens = self.num_computed_prompt_tokens = 0
        self.num_generated_tokens = self.num_preemptions = 0
        self.num_scheduled = self.num_steps = 0
        self.num_corrupted = 0
        self.num_cancelled: dict[CancelPhase, int] = dict.fromkeys(get_args(CancelPhase), 0)
        self._finished: dict[FinishReason, int] = dict.fromkeys(get_args(FinishReason), 0)
        self._step_tokens = Histogram(STEP_TOKENS_BOUNDS)
        self._gaps = TokenGaps()

    def add_step(
        self,
        scheduled: list[Sequence],
        step: Step,
        num_prompt_tokens: int,
        seconds: float,
        now: float,
    ) -> None:
        """A step that took `seconds` ended at `now`, in seconds of `time.perf_counter()`."""
        self.num_steps += 1
        self.busy_seconds += seconds
        self.num_scheduled += len(scheduled)
        self._step_tokens.add(step.n_tokens)
        self.num_computed_prompt_tokens += num_prompt_tokens
        self._gaps.add_step(step.rows if step.reads_prompt else scheduled, now)

    def add_slice(self, num_tokens: int, seconds: float) -> None:
        """Beside a step, so many tokens of a prompt were finished, in so much more time."""
        self.num_computed_prompt_tokens += num_tokens
        self.busy_seconds += seconds

    def add_draft(self, num_tokens: int, num_accepted: int) -> None:
        """A sequence had guessed, and so many guesses were right."""
        self.num_drafts += 1
        self.num_draft_tokens += num_tokens
        self.num_accepted_tokens += num_accepted

    def add_cancelled(self, request: Request) -> None:
        """A request that has not ended yet is about to be aborted."""
        sequences = [continuation.sequence for continuation in request.continuations]
        if all(sequence.first_scheduled_time is None for sequence in sequences):
            self.num_cancelled["queue"] += 1
        elif any(sequence.num_output_tokens for sequence in sequences):
            self.num_cancelled["decode"] += 1
        else:
            self.num_cancelled["prefill"] += 1

    def add_finished(self, request: Request) -> None:
        self._finished[_reason(request)] += 1
        ended = request.continuations
        self.num_corrupted += any(c.stop_reason == "nonfinite_logits" for c in ended)

    def snapshot(self, scheduler: Scheduler, num_arriving: int) -> EngineStats:
        """num_arriving: sequences that the scheduler has not heard of. Safe on any thread."""
        cache = scheduler.kv_cache
        return EngineStats(
            num_running=len(scheduler.running),
            num_waiting=len(scheduler.waiting) + num_arriving,
            kv_cache_usage=1 - cache.num_free_blocks / cache.num_blocks,
            num_kv_blocks=cache.num_blocks,
            kv_block_size=cache.block_size,
            enable_prefix_caching=cache.prefix_caching,
            num_steps=self.num_steps,
            busy_seconds=self.busy_seconds,
            num_scheduled=self.num_scheduled,
            num_preemptions=self.num_preemptions,
            num_prompt_tokens=self.num_prompt_tokens,
            num_cached_tokens=self.num_cached_tokens,
            num_computed_prompt_tokens=self.num_computed_prompt_tokens,
            num_generated_tokens=self.num_generated_tokens,
            num_drafts=self.num_drafts,
            num_draft_tokens=self.num_draft_tokens,
            num_accepted_tokens=self.num_accepted_tokens,
            num_finished=dict(self._finished),
            num_cancelled=dict(self.num_cancelled),
            num_corrupted=self.num_corrupted,
            step_tokens=self._step_tokens.snapshot(),
            first_token_seconds=self._gaps.first.snapshot(),
            next_token_seconds=self._gaps.following.snapshot(),
        )


def _reason(request: Request) -> FinishReason:
    reasons = [continuation.finish_reason for continuation in request.continuations]
    for reason in ("abort", "error", *reasons):
        if reason is not None and reason in reasons:
            return reason
    raise AssertionError("it has not ended")
