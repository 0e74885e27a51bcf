"""The engine: several requests, one step at a time. Not thread-safe; see engine_thread.py."""

from __future__ import annotations

import time
from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Protocol

from pyllm.batch import Arrays, Batch, Columns, Scored, Step
from pyllm.continuation import Continuation
from pyllm.errors import RequestError
from pyllm.kv_cache import KVCache
from pyllm.logits_processors import RowSampler, sample_processed
from pyllm.logprobs import read_logprobs
from pyllm.outputs import RequestOutput
from pyllm.request import Request, mixed
from pyllm.sampling import LogitsProcessor, SamplingParams
from pyllm.scheduler import Scheduler
from pyllm.sequence import Sequence

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer


# Why a row of this status has no token; 0 is a row that has one.
_FAILURES = {1: "nonfinite_logits", 2: "no_token_allowed"}


class Program(RowSampler, Protocol):
    """What the engine needs of a compiled program."""

    @property
    def columns(self) -> Columns: ...

    def step(
        self,
        n_tokens: int,
        n_seqs: int,
        n_rows: int,
        history: Arrays | None = None,
        bias: Arrays | None = None,
        *,
        masks: Arrays | None = None,
        dry: Arrays | None = None,
    ) -> None: ...


class EngineModel(Protocol):
    """What the engine needs of a loaded model."""

    @property
    def program(self) -> Program: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def max_model_len(self) -> int: ...
    @property
    def num_kv_blocks(self) -> int: ...
    @property
    def block_size(self) -> int: ...
    def close(self) -> None: ...


class Engine:
    """Schedules, steps and reports. Batch limits are those the program's columns were made for."""

    def __init__(
        self,
        model: EngineModel,
        *,
        seed: int = 0,
        logits_processors: SequenceOf[LogitsProcessor] = (),
    ) -> None:
        self.model = model
        self.seed = seed
        self._processors = tuple(logits_processors)  # of every request, before its own
        self._columns = model.program.columns
        self._counter = count()
        self.reset()

    def reset(self) -> None:
        """Begin with empty hands, whatever state a failed step left behind."""
        model, columns = self.model, self._columns
        kv_cache = KVCache(model.num_kv_blocks, model.block_size)
        # A lone sequence must always fit, or preemption could not make room for it.
        if kv_cache.capacity < model.max_model_len:
            limit = (
                f"the KV cache holds {kv_cache.capacity} tokens; "
                "lower max_model_len or give it more memory"
            )
            raise RequestError("max_model_len", model.max_model_len, limit)
        max_num_seqs = min(len(columns["seq_starts"]) - 1, len(columns["logit_rows"]))
        self.scheduler = Scheduler(
            kv_cache,
            max_num_seqs=max_num_seqs,
            max_num_batched_tokens=len(columns["tokens"]),
            max_num_scored_tokens=len(columns["logit_rows"]) - max_num_seqs,
        )
        self.batch = Batch(columns)
        self._requests: dict[str, Request] = {}
        self._continuations: dict[Sequence, Continuation] = {}

    def make_request(
        self,
        prompt: str | None,
        prompt_token_ids: SequenceOf[int],
        params: SamplingParams,
        request_id: str | None = None,
        *,
        token_healing: bool = False,
    ) -> Request:
        """A checked request, not yet added. Safe to call from any thread.

        Raises RequestError and ContextLengthError.
        """
        number = next(self._counter)
        if params.prompt_logprobs is not None and not self.scheduler.max_num_scored_tokens:
            limit = "the program has no rows for it"
            raise RequestError("prompt_logprobs", params.prompt_logprobs, limit)
        if self._processors:
            processors = [*self._processors, *(params.logits_processors or ())]
            params = replace(params, logits_processors=processors)
        return Request(
            str(number) if request_id is None else request_id,
            prompt,
            prompt_token_ids,
            params,
            tokenizer=self.model.tokenizer,
            max_model_len=self.model.max_model_len,
            default_seed=mixed(self.seed, number + 1),
            token_healing=token_healing,
        )

    def add(self, request: Request) -> None:
        if request.request_id in self._requests:
            raise RequestError("request_id", request.request_id, "is in use by another request")
        self._requests[request.request_id] = request
        for continuation in request.continuations:
            self._continuations[continuation.sequence] = continuation
            self.scheduler.add(continuation.sequence)

    def abort(self, request_id: str) -> None:
        """Forget a request and free its blocks; unknown and finished ids are ignored."""
        request = self._requests.pop(request_id, None)
        if request is None:
            return
        for continuation in request.continuations:
            if continuation.finish_reason is None:
                continuation.finish_reason = "abort"
                self._retire(continuation)

    def has_unfinished(self) -> bool:
        return self.scheduler.has_unfinished()

    def step(self) -> list[RequestOutput]:
        """One token for every sequence that decodes, one chunk for those that prefill."""
        scheduled = self.scheduler.schedule()
        step = self.batch.fill(scheduled)
        self.model.program.step(
            step.n_tokens,
            step.n_seqs,
            step.n_rows,
            step.history,
            step.bias,
            masks=step.masks,
            dry=step.dry,
        )
        return self._postprocess(scheduled, step)

    def _postprocess(self, scheduled: list[Sequence], step: Step) -> list[RequestOutput]:
        now = time.perf_counter()
        for sequence in scheduled:
            sequence.num_computed_tokens += sequence.num_scheduled_tokens
        columns = self._columns
        changed: dict[Request, list[Continuation]] = {}
        failures: dict[int, str] = {}
        if step.scored:
            self._score_prompts(step.scored, changed)
        if step.has_processors:
            failures = sample_processed(self.model.program, columns, step)
        count = len(step.rows)
        sampled = columns["sampled"][:count].tolist()
        status = columns["status"][:count].tolist()
        next_mu = columns["mirostat_next"][:count].tolist() if step.has_mirostat else None
        for row, sequence in enumerate(step.rows):
            continuation = self._continuations.get(sequence)
            if continuation is None:  # its prompt could not be scored
                continue
            if status[row] != 0 or row in failures:
                continuation.fail(failures.get(row) or _FAILURES[status[row]])
            else:
                if continuation.has_logprobs:
                    self._add_logprobs(continuation, row)
                if next_mu is not None:
                    sequence.mirostat_mu = next_mu[row]
                continuation.append(sampled[row])
            if continuation.finish_reason is not None:
                self._retire(continuation)
            changed.setdefault(continuation.request, []).append(continuation)
        return [
            output
            for request, continuations in changed.items()
            if (output := self._report(request, continuations, now)) is not None
        ]

    def _add_logprobs(self, continuation: Continuation, row: int) -> None:
        params = continuation.sequence.params
        entries = read_logprobs(self._columns, row, params.logprobs or 0, params.logprob_token_ids)
        continuation.add_logprobs(float(self._columns["logprob"][row]), entries)

    def _score_prompts(
        self, scored: list[Scored], changed: dict[Request, list[Continuation]]
    ) -> None:
        """Take the log-probabilities of prompt tokens, a bounded number in each step."""
        for part in scored:
            continuation = self._continuations[part.sequence]
            width = part.sequence.params.prompt_logprobs or 0
            for row in range(part.first_row, part.first_row + part.count):
                if self._columns["status"][row] != 0:
                    continuation.fail(_FAILURES[1])
                    self._retire(continuation)
                    changed.setdefault(continuation.request, []).append(continuation)
                    break
                continuation.add_prompt_logprobs(read_logprobs(self._columns, row, width))

    def _report(
        self, request: Request, changed: list[Continuation], now: float
    ) -> RequestOutput | None:
        output = request.report(changed, now)
        if output is not None and output.finished:
            del self._requests[request.request_id]
        return output

    def _retire(self, continuation: Continuation) -> None:
        self.scheduler.finish(continuation.sequence)
        del self._continuations[continuation.sequence]
