"""The engine: several requests, one step at a time. Not thread-safe; see engine_thread.py."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from collections.abc import Sequence as SequenceOf
from typing import TYPE_CHECKING

from pyllm.continuation import Continuation
from pyllm.engine.batch import Batch, Step
from pyllm.engine.counters import EngineCounters
from pyllm.engine.interrupt import StepInterrupted
from pyllm.engine.model import EngineModel
from pyllm.engine.prompt_pace import PromptPace
from pyllm.engine.prompt_reader import PromptReader
from pyllm.engine.prompt_turns import PromptTurns
from pyllm.engine.quarantine import Quarantine
from pyllm.engine.row_results import RowResults, fail
from pyllm.engine.scheduler import Scheduler
from pyllm.engine.sequence import Sequence
from pyllm.engine.step_runner import StepRunner
from pyllm.errors import PyLLMError, RequestError
from pyllm.kv.cache import KVCache
from pyllm.outputs import RequestOutput
from pyllm.pooling.request import Pooling
from pyllm.request import Request
from pyllm.request_maker import RequestMaker
from pyllm.sampling.logits_processors import sample_processed
from pyllm.sampling.params import MAX_LOGPROBS, LogitsProcessor
from pyllm.speculation.proposer import Proposer
from pyllm.speculation.switch import SpeculationSwitch

if TYPE_CHECKING:
    from pyllm.kv.prefix_store import PrefixStore


_log = logging.getLogger(__name__)

# After an interrupted step comes one that is not interrupted, or those who cancel could hold up
# everybody else; it is short, so that the next one to cancel need not wait for it either.
_TOKENS_AFTER_INTERRUPT = 16
_NOBODY: frozenset[str] = frozenset()


def _no_news() -> bool:
    return False


def _num_prompt_tokens(scheduled: list[Sequence], step: Step) -> int:
    """Tokens of a step that are not a decode's: a prompt's chunk may have one, too."""
    if not step.reads_prompt:
        return 0
    return step.n_tokens - sum(s.num_pending_tokens == 1 for s in scheduled)


class Engine(RequestMaker):
    """Schedules, steps and reports. Batch limits are those the program's columns were made for.

    max_decode_slowdown    a step in which streams wait for a prompt takes at most so many times as
                           long as one without; None: prompts are read in chunks of full size
    enable_prefix_caching  keep computed blocks for other requests that begin alike
    prefix_store           where they are kept on disk too
    proposer               guesses tokens; None: every step yields one for each sequence
    logits_processors      of every request, before its own
    max_logprobs           log-probabilities of a token that a request may ask for; -1: any number
    """

    def __init__(
        self,
        model: EngineModel,
        *,
        seed: int = 0,
        max_decode_slowdown: float | None = None,
        enable_prefix_caching: bool = True,
        prefix_store: PrefixStore | None = None,
        proposer: Proposer | None = None,
        logits_processors: SequenceOf[LogitsProcessor] = (),
        max_logprobs: int = MAX_LOGPROBS,
    ) -> None:
        super().__init__(model, seed, tuple(logits_processors), max_logprobs)
        self.enable_prefix_caching = enable_prefix_caching
        self.prefix_store = prefix_store
        self._speculation = SpeculationSwitch(proposer)
        self.on_start: Callable[[Request], None] | None = None  # told of requests that get going
        self.counters = EngineCounters()
        self._runner = StepRunner(model.program)
        self._results = RowResults(self._columns, self.counters)
        self._turns = PromptTurns(PromptPace(max_decode_slowdown))
        self.reset()

    def reset(self) -> None:
        """Begin with empty hands, whatever state a failed step left behind."""
        self._requests: dict[str, Request] = {}
        self._continuations: dict[Sequence, Continuation] = {}
        self._reset_schedule()

    def _reset_schedule(self) -> None:
        model, columns = self.model, self._columns
        kv_cache = KVCache(
            model.num_kv_blocks,
            model.block_size,
            window=model.kv_window,
            prefix_caching=self.enable_prefix_caching,
            store=self.prefix_store,
            counters=self.counters,
        )
        kv_cache.require_room_for(model.max_model_len, len(columns["tokens"]))
        num_rows = len(columns["logit_rows"])
        max_num_seqs = min(len(columns["seq_starts"]) - 1, num_rows)
        # Beside one for each sequence. Steps that read a prompt score it with them, and only steps
        # that read none guess.
        spare_rows = num_rows - max_num_seqs
        self.speculator = self._speculation.start(kv_cache, max_rows=spare_rows)
        self.scheduler = Scheduler(
            kv_cache,
            max_num_seqs=max_num_seqs,
            max_num_batched_tokens=len(columns["tokens"]),
            max_num_scored_tokens=spare_rows,
            chunk_limit=self._chunk_limit,
            on_admit=self._admitted,
            speculator=self.speculator,
            counters=self.counters,
        )
        self.batch = Batch(columns)
        reader = None
        if model.prompt_program is not None:
            reader = PromptReader(model.prompt_program, self.scheduler, self.counters)
        self._turns.start(reader)
        self._scheduled: list[Sequence] = []  # of the step that runs
        self._quarantine: Quarantine | None = None
        self._interruptible = _NOBODY  # requests whose prompts the step that runs reads
        self._was_interrupted = self._was_put_off = False
        self._failed = False  # the last step failed, and nobody knows by whom

    def add(self, request: Request) -> None:
        if request.request_id in self._requests:
            raise RequestError("request_id", request.request_id, "is in use by another request")
        self._requests[request.request_id] = request
        for continuation in request.continuations:
            self._continuations[continuation.sequence] = continuation
            self.scheduler.add(continuation.sequence)

    def abort(self, request_id: str) -> RequestOutput | None:
        """Forget a request and free its blocks; unknown and finished ids are ignored.

        Returns its last report, with finish_reason "abort".
        """
        request = self._requests.pop(request_id, None)
        if request is None:
            return None
        self.counters.add_cancelled(request)
        unfinished = [c for c in request.continuations if c.finish_reason is None]
        for continuation in unfinished:
            continuation.abort()
            self._retire(continuation)
        self.counters.add_finished(request)
        return request.report_abort(time.perf_counter())

    def interrupt(self, request_ids: Iterable[str]) -> None:
        """End the step that reads a prompt of one of these, soon. Safe to call from any thread."""
        if not self._interruptible.isdisjoint(request_ids):
            self.model.program.interrupt()

    def has_unfinished(self) -> bool:
        return self.scheduler.has_unfinished()

    def step(self, has_news: Callable[[], bool] = _no_news) -> list[RequestOutput]:
        """One token for every sequence that decodes, one chunk for those that prefill.

        When `has_news` says so before a prompt is read, or the step is interrupted, nothing
        happens but scheduling. A defect ends the request that caused it; raises PyLLMError and
        what cannot be traced to a request.
        """
        self._scheduled = []
        try:
            return self._step(has_news)
        except StepInterrupted:
            self._interruptible = _NOBODY
            self._was_interrupted = True
            for sequence in self._scheduled:  # it may have come too late for the prompt it was for
                sequence.draft = []
            return []
        except (PyLLMError, KeyboardInterrupt):  # the machine's fault: it would befall everybody
            raise
        except BaseException as error:  # Rust code panics with one
            return self._recover(error)

    def _step(self, has_news: Callable[[], bool]) -> list[RequestOutput]:
        begin = time.perf_counter()
        self._turns.begin_step()
        scheduled = self._scheduled = self._schedule()
        step = self.batch.fill(scheduled)
        if step.reads_prompt and not self._was_interrupted:
            self._interruptible = frozenset(
                s.request_id for s in scheduled if s.num_scheduled_tokens > 1
            )
            # Asked after that was published: whoever cancels either sees it or is seen here.
            # Not twice in a row: those who bring news could hold up everybody else.
            if not self._was_put_off and has_news():
                self._interruptible = _NOBODY
                self._was_put_off = True
                return []
        start = time.perf_counter()
        self._runner.run(step)
        now = time.perf_counter()
        self._failed = False
        self._interruptible = _NOBODY
        self._was_interrupted = self._was_put_off = False
        num_prompt_tokens = _num_prompt_tokens(scheduled, step)
        self._learn_times(step, num_prompt_tokens, now - start)
        self.counters.add_step(scheduled, step, num_prompt_tokens, now - start, now)
        outputs = self._postprocess(scheduled, step)
        self._turns.read_on(begin)
        return outputs

    def _learn_times(self, step: Step, num_prompt_tokens: int, seconds: float) -> None:
        if self.speculator is not None:
            self.speculator.record_step(step.n_tokens, len(step.rows), seconds)
        if step.reads_prompt:
            num_decodes = step.n_tokens - num_prompt_tokens
            self._turns.pace.add(seconds, num_decodes, num_prompt_tokens)
        elif step.n_tokens == step.n_seqs:  # nobody guessed
            self._turns.pace.add(seconds, step.n_seqs, 0)

    def _schedule(self) -> list[Sequence]:
        if self._quarantine is not None:
            scheduled = self._quarantine.next_step(self.scheduler, self._continuations)
            if scheduled:
                return scheduled
            self._quarantine = None
        return self.scheduler.schedule()

    def _chunk_limit(self, num_decodes: int, watched: bool, depth: int) -> int:
        most = self.scheduler.max_num_batched_tokens
        if self._was_interrupted:
            most = min(most, _TOKENS_AFTER_INTERRUPT)
        limit = self._turns.chunk_limit(num_decodes, depth) if watched else None
        return most if limit is None else min(most, limit)

    def _admitted(self, sequence: Sequence) -> None:
        if self.on_start is not None:
            self.on_start(self._continuations[sequence].request)

    def _postprocess(self, scheduled: list[Sequence], step: Step) -> list[RequestOutput]:
        now = time.perf_counter()
        for sequence in scheduled:
            sequence.num_computed_tokens += sequence.num_scheduled_tokens
            if sequence.num_computed_tokens >= sequence.settle_at:
                self.scheduler.kv_cache.settle(sequence)
        self._results.begin(step.n_rows)
        for part in step.scored:
            self._results.take_scores(self._continuations[part.sequence], part)
        if step.has_processors:
            self._sample_processed(step)
            self._results.begin(step.n_rows)
        rows = step.rows
        count = len(rows)
        sampled = self._columns["sampled"][:count].tolist()
        status = self._columns["status"][:count].tolist()
        take = self._results.take
        changed: dict[Request, list[Continuation]] = {}
        row = 0
        while row < count:
            sequence = rows[row]
            continuation = self._continuations[sequence]
            if draft := sequence.draft:
                self._verify(continuation, row, sampled, status)
            elif continuation.finish_reason is None:  # it failed just now otherwise
                take(continuation, row, sampled[row], status[row])
            row += 1 + len(draft)
            if continuation.finish_reason is not None:
                self._retire(continuation)
            changed.setdefault(continuation.request, []).append(continuation)
        for part in step.hidden:
            pooling = self._continuations[part.sequence]
            assert isinstance(pooling, Pooling)
            self._results.take_states(pooling, part)
            if pooling.finish_reason is not None:
                self._retire(pooling)
                changed[pooling.request] = [pooling]
        for part in step.scored:
            failed = self._continuations.get(part.sequence)  # in the middle of its prompt
            if failed is not None and failed.finish_reason is not None:
                self._retire(failed)
                changed.setdefault(failed.request, []).append(failed)
        return self._report(changed, now)

    def _report(
        self, changed: dict[Request, list[Continuation]], now: float
    ) -> list[RequestOutput]:
        """What callers hear of a step at time `now`; forgets requests that have finished."""
        outputs = []
        for request, continuations in changed.items():
            try:
                output = request.report(continuations, now)
            except BaseException as error:  # in code that runs for this request only
                output = self._report_failure(request, error, now)
            if output is not None:
                if output.finished:
                    self._forget(request)
                outputs.append(output)
        return outputs

    def _report_failure(self, request: Request, error: BaseException, now: float) -> RequestOutput:
        """End a request that could not be reported; the reports of others are not lost for it."""
        unfinished = [c for c in request.continuations if c.finish_reason is None]
        for continuation in unfinished or request.continuations:
            fail(continuation, error)
        for continuation in unfinished:
            self._retire(continuation)
        return request.report_failure(now)

    def _sample_processed(self, step: Step) -> None:
        """Sample the rows of requests with logits processors, and end those whose code raises."""
        for sequence, error in sample_processed(self.model.program, self._columns, step):
            fail(self._continuations[sequence], error, "logits processor failed: ")

    def _verify(
        self, continuation: Continuation, row: int, sampled: list[int], status: list[int]
    ) -> None:
        """Take tokens as long as the guess before them was what the model said, too."""
        assert self.speculator is not None
        sequence = continuation.sequence
        draft, sequence.draft = sequence.draft, []
        num_right, failed = 0, False
        for place in range(len(draft) + 1):
            token = sampled[row + place]
            self._results.take(continuation, row + place, token, status[row + place])
            if place == len(draft) or status[row + place] != 0:
                break
            failed = token != draft[place]
            if failed:
                break
            num_right += 1
            if continuation.finish_reason is not None:
                break
        sequence.num_computed_tokens = len(sequence.tokens) - 1  # a wrong guess is computed anew
        self.speculator.record_draft(sequence, num_right, failed=failed)
        self.counters.add_draft(len(draft), num_right)

    def _recover(self, error: BaseException) -> list[RequestOutput]:
        """Go on after a defect: nothing that was computed is trusted, nobody innocent is lost.

        The sequences of a step that failed run alone next; one that fails then has failed.
        """
        suspects = [s for s in self._scheduled if s in self._continuations]
        if not suspects and self._failed:
            raise error
        quarantine = self._quarantine
        if suspects and quarantine is not None:
            (culprit,) = suspects
            fail(self._continuations[culprit], error)
            self._speculation.clear()
        else:
            self._speculation.suspect(error, alone=not suspects)
            _log.warning("a step failed; its requests are computed again", exc_info=error)
            quarantine = Quarantine(suspects)
        self._reset_schedule_for_all()
        self._quarantine = quarantine
        self._failed = not suspects
        return self._report_ends()

    def _report_ends(self) -> list[RequestOutput]:
        """Of all that ended and were not heard of, because the step that ended them failed."""
        changed: dict[Request, list[Continuation]] = {}
        for request in self._requests.values():
            if ended := [c for c in request.continuations if c.is_end_unheard]:
                changed[request] = ended
        return self._report(changed, time.perf_counter())

    def _reset_schedule_for_all(self) -> None:
        """A new scheduler and cache, with every sequence that is unfinished, in the old order."""
        self._reset_schedule()
        for sequence in sorted(self._continuations, key=lambda sequence: sequence.rank):
            if self._continuations[sequence].finish_reason is not None:
                del self._continuations[sequence]
                continue
            sequence.forget_blocks()
            sequence.num_scheduled_tokens = 0
            sequence.draft = []
            sequence.num_preemptions += 1
            self.scheduler.add(sequence)

    def _forget(self, request: Request) -> None:
        """It has finished."""
        del self._requests[request.request_id]
        self.counters.add_finished(request)

    def _retire(self, continuation: Continuation) -> None:
        self.scheduler.finish(continuation.sequence)
        if self.speculator is not None:
            self.speculator.forget(continuation.sequence)
        del self._continuations[continuation.sequence]
        continuation.sequence.grammar = None  # callers keep requests; a lexer takes megabytes
