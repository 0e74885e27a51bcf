"""The engine: several requests, one step at a time. Not thread-safe; see engine_thread.py."""

from __future__ import annotations

import time
from collections.abc import Sequence as SequenceOf
from itertools import count
from typing import TYPE_CHECKING, Protocol

from pyllm.batch import Arrays, Batch, Columns, Step
from pyllm.continuation import Continuation
from pyllm.errors import RequestError
from pyllm.kv_cache import KVCache
from pyllm.outputs import RequestOutput
from pyllm.request import Request, mixed
from pyllm.sampling import SamplingParams
from pyllm.scheduler import Scheduler
from pyllm.sequence import Sequence
from pyllm.speculation.proposer import Proposer
from pyllm.speculation.speculator import Speculator

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer


class Program(Protocol):
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
        self, model: EngineModel, *, seed: int = 0, proposer: Proposer | None = None
    ) -> None:
        self.model = model
        self.seed = seed
        self._proposer = proposer  # guesses tokens; None: every step yields one
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
        num_rows = len(columns["logit_rows"])
        max_num_seqs = min(len(columns["seq_starts"]) - 1, num_rows)
        self.speculator = None
        if self._proposer is not None:
            self._proposer.reset()
            self.speculator = Speculator(self._proposer, kv_cache, max_rows=num_rows - max_num_seqs)
        self.scheduler = Scheduler(
            kv_cache,
            max_num_seqs=max_num_seqs,
            max_num_batched_tokens=len(columns["tokens"]),
            speculator=self.speculator,
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
    ) -> Request:
        """A checked request, not yet added. Safe to call from any thread.

        Raises RequestError and ContextLengthError.
        """
        number = next(self._counter)
        return Request(
            str(number) if request_id is None else request_id,
            prompt,
            prompt_token_ids,
            params,
            tokenizer=self.model.tokenizer,
            max_model_len=self.model.max_model_len,
            default_seed=mixed(self.seed, number + 1),
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
        start = time.perf_counter()
        self.model.program.step(step.n_tokens, step.n_seqs, len(step.rows), step.history, step.bias)
        if self.speculator is not None:
            seconds = time.perf_counter() - start
            self.speculator.record_step(step.n_tokens, len(step.rows), seconds)
        return self._postprocess(scheduled, step)

    def _postprocess(self, scheduled: list[Sequence], step: Step) -> list[RequestOutput]:
        now = time.perf_counter()
        for sequence in scheduled:
            sequence.num_computed_tokens += sequence.num_scheduled_tokens
        count = len(step.rows)
        sampled = self._columns["sampled"][:count].tolist()
        status = self._columns["status"][:count].tolist()
        changed: dict[Request, list[Continuation]] = {}
        row = 0
        while row < count:
            continuation = self._continuations[step.rows[row]]
            draft = continuation.sequence.draft
            if draft:
                self._verify(continuation, row, sampled, status)
            else:
                self._take(continuation, row, sampled[row], status[row])
            row += 1 + len(draft)
            if continuation.finish_reason is not None:
                self._retire(continuation)
            changed.setdefault(continuation.request, []).append(continuation)
        return [
            output
            for request, continuations in changed.items()
            if (output := self._report(request, continuations, now)) is not None
        ]

    def _take(self, continuation: Continuation, row: int, token: int, status: int) -> None:
        if status != 0:
            continuation.fail("nonfinite_logits")
            return
        if continuation.sequence.params.logprobs is not None:
            self._add_logprobs(continuation, row, token)
        continuation.append(token)

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
            self._take(continuation, row + place, token, status[row + place])
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

    def _add_logprobs(self, continuation: Continuation, row: int, token: int) -> None:
        width = continuation.sequence.params.logprobs or 0
        ids: list[int] = self._columns["top_ids"][row, :width].tolist()
        values: list[float] = self._columns["top_logprobs"][row, :width].tolist()
        chosen = float(self._columns["logprob"][row])
        continuation.add_logprobs(token, chosen, list(zip(ids, values, strict=True)))

    def _report(
        self, request: Request, changed: list[Continuation], now: float
    ) -> RequestOutput | None:
        output = request.report(changed, now)
        if output is not None and output.finished:
            del self._requests[request.request_id]
        return output

    def _retire(self, continuation: Continuation) -> None:
        self.scheduler.finish(continuation.sequence)
        if self.speculator is not None:
            self.speculator.forget(continuation.sequence)
        del self._continuations[continuation.sequence]
