"""`AsyncLLM`: the model for programs built on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pyllm.call_arguments import check_priority, for_chat
from pyllm.chat import ChatRenderer
from pyllm.checks import check_integer
from pyllm.engine.async_inbox import AsyncInbox, LoopMailbox
from pyllm.engine.model import EngineModel
from pyllm.engine.open_request import OpenRequest
from pyllm.engine.stats import EngineStats
from pyllm.errors import RequestError
from pyllm.llm import LLM
from pyllm.outputs import RequestOutput
from pyllm.pooling.embedding import PoolingJob, as_embedding, embedding_jobs, pooled_by
from pyllm.pooling.outputs import EmbeddingRequestOutput, ScoringRequestOutput
from pyllm.pooling.pooling import PoolingParams
from pyllm.pooling.scoring import Scorer
from pyllm.prompts import Encoded, Prompt, Prompts, encode_prompt
from pyllm.prompts import cache_salt as salt_of
from pyllm.request import Request
from pyllm.sampling.params import SamplingParams
from pyllm.text.special_text import Messages

if TYPE_CHECKING:
    import os

    from pyllm.tokenizer import Tokenizer

# A queue that takes longer than a client waits only wastes work: these hold some minutes of it.
MAX_QUEUED_REQUESTS = 256
MAX_QUEUED_TOKENS = 2**20


class AsyncLLM:
    """Loads a GGUF model and continues prompts for tasks of an event loop; vLLM's names.

        async with AsyncLLM("model.gguf") as llm:
            async for output in llm.generate("Once upon a time", SamplingParams(max_tokens=50)):
                print(output.outputs[0].text)

    Requests share batches, and none depends on what else runs. A task that is cancelled, or a
    loop over `generate` that is left, frees the request's memory before the next step; a step
    that was reading its prompt ends early. A reader that lags gets several reports as one.

    model                    path of a GGUF file (the first part of a sharded one)
    max_num_queued_requests  that may wait beyond those for whom there is room; None: any
    max_num_queued_tokens    of all prompts that wait together; None: any
    options                  all others of `LLM`

    Raises what LLM raises. May be used from several event loops.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        max_num_queued_requests: int | None = MAX_QUEUED_REQUESTS,
        max_num_queued_tokens: int | None = MAX_QUEUED_TOKENS,
        **options: Any,
    ) -> None:
        _check_limits(max_num_queued_requests, max_num_queued_tokens)
        self._start(LLM(model, **options), max_num_queued_requests, max_num_queued_tokens)

    @classmethod
    def from_model(
        cls,
        model: EngineModel,
        *,
        max_num_queued_requests: int | None = MAX_QUEUED_REQUESTS,
        max_num_queued_tokens: int | None = MAX_QUEUED_TOKENS,
        **options: Any,
    ) -> Self:
        """An AsyncLLM over a loaded model; `options` are those of `LLM.from_model`."""
        _check_limits(max_num_queued_requests, max_num_queued_tokens)
        llm = cls.__new__(cls)
        loaded = LLM.from_model(model, **options)
        llm._start(loaded, max_num_queued_requests, max_num_queued_tokens)
        return llm

    def _start(self, llm: LLM, max_requests: int | None, max_tokens: int | None) -> None:
        self._llm = llm
        limits = llm.thread.limits
        limits.max_requests, limits.max_tokens = max_requests, max_tokens
        self._chat = ChatRenderer(llm.model.tokenizer)
        self._mailboxes: dict[asyncio.AbstractEventLoop, LoopMailbox] = {}

    @property
    def model(self) -> EngineModel:
        return self._llm.model

    @property
    def scorer(self) -> Scorer:
        """What makes texts to read, for `pool`, of pairs to score."""
        return self._llm.scorer

    @property
    def num_queued_requests(self) -> int:
        """Requests that wait for their first step."""
        return self._llm.thread.limits.num_requests

    def stats(self) -> EngineStats:
        """What the engine does and has done. Any thread may ask, also after `shutdown`."""
        return self._llm.stats()

    @property
    def num_running_requests(self) -> int:
        """Continuations that the next step computes, prompts that are read included."""
        return len(self._llm.engine.scheduler.running)

    def has_requests_before(self, priority: int) -> bool:
        """Whether some run or wait whose priority is a lower number: they go first."""
        scheduler = self._llm.engine.scheduler  # its lists are by rank, and another thread's
        ahead = [*scheduler.running[:1], *scheduler.waiting[:1]]
        return any(sequence.priority < priority for sequence in ahead)

    @property
    def max_num_seqs(self) -> int:
        """Continuations computed at a time, at most."""
        return self._llm.engine.scheduler.max_num_seqs

    @property
    def kv_cache_bytes(self) -> int:
        """Size of the pool of keys and values; chosen at start, it never grows."""
        return self._llm.kv_cache_bytes

    def get_tokenizer(self) -> Tokenizer:
        return self._llm.get_tokenizer()

    def generate(
        self,
        prompt: Prompt,
        sampling_params: SamplingParams | None = None,
        request_id: str | None = None,
        *,
        parse_special: bool = False,
        token_healing: bool = False,
        priority: int = 0,
    ) -> AsyncGenerator[RequestOutput, None]:
        """Continue one prompt; yields reports as `sampling_params.output_kind` asks for them.

        request_id  names it for `abort`; None: a number
        priority    lower goes first and may take the place of higher; equals go by arrival
        The rest as in `LLM.generate`. Raises RequestError, ContextLengthError, TokenizerError,
        QueueFullError, and PyLLMError when the engine is shut down meanwhile.
        """
        params = SamplingParams() if sampling_params is None else sampling_params
        encode = partial(encode_prompt, prompt, self.get_tokenizer(), parse_special=parse_special)
        return self._reports(
            encode, params, request_id, priority, salt_of(prompt), token_healing=token_healing
        )

    def chat(
        self,
        messages: Messages,
        sampling_params: SamplingParams | None = None,
        request_id: str | None = None,
        *,
        priority: int = 0,
        cache_salt: str | None = None,
        **template_options: Any,
    ) -> AsyncGenerator[RequestOutput, None]:
        """Answer one conversation; max_tokens defaults to the rest of the context.

        messages, cache_salt, template_options  as in `LLM.chat`; the rest as in `generate`
        """
        params = SamplingParams(max_tokens=None) if sampling_params is None else sampling_params
        encode = partial(self._chat.encode, messages, **template_options)
        params = for_chat(_checked(params))
        return self._reports(encode, params, request_id, priority, cache_salt)

    async def abort(self, request_id: str | Iterable[str]) -> None:
        """End a request, or several: who iterates over one gets a last report, "abort".

        Unknown and finished requests are ignored. RequestError for what is no id.
        """
        if isinstance(request_id, str) or not isinstance(request_id, Iterable):
            request_id = [request_id]
        names = list(request_id)
        for name in names:
            _check_id(name)
        self._llm.thread.abort(names)

    @property
    def is_running(self) -> bool:
        """Whether the engine takes requests: False after shutdown, and after a defect ended it."""
        return self._llm.thread.is_running

    def shutdown(self) -> None:
        """End requests in flight, stop the engine and free the model. May be repeated."""
        self._llm.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.shutdown)  # it waits for the engine's thread

    async def open(
        self,
        prepare: Callable[[], tuple[Encoded, SamplingParams]],
        request_id: str | None = None,
        *,
        priority: int = 0,
        cache_salt: str | None = None,
        token_healing: bool = False,
    ) -> OpenRequest:
        """Queue one request; returns when the engine has taken it, before its first report.

        prepare  gives text and ids of the prompt, and how to continue it; runs on another thread
        For programs that must answer "no" before they begin to answer, as servers do. The rest,
        and the errors, as in `generate`.
        """
        check_priority(priority)
        if request_id is not None:
            _check_id(request_id)
        make = self._llm.engine.make_request

        def prepare_and_make(number: int, name: str) -> Request:
            encoded, params = prepare()
            return make(
                *encoded,
                _checked(params),
                name,
                priority,
                cache_salt,
                token_healing=token_healing,
                number=number,
            )

        return await self._open(prepare_and_make, request_id)

    async def embed(
        self,
        prompts: Prompts,
        pooling_params: PoolingParams | Sequence[PoolingParams] | None = None,
        request_id: str | None = None,
        *,
        parse_special: bool = False,
        priority: int = 0,
    ) -> list[EmbeddingRequestOutput]:
        """The embedding of each text, as `LLM.embed`; the rest as in `pool`."""
        tokenizer = self.get_tokenizer()
        jobs = embedding_jobs(prompts, pooling_params, tokenizer, parse_special=parse_special)
        outputs = await self.pool(jobs, request_id, priority=priority)
        return [as_embedding(out, job.params) for out, job in zip(outputs, jobs, strict=True)]

    async def score(
        self,
        text_1: str | Sequence[str],
        text_2: str | Sequence[str],
        request_id: str | None = None,
        *,
        priority: int = 0,
    ) -> list[ScoringRequestOutput]:
        """How well texts belong together, as `LLM.score`; the rest as in `pool`."""
        scoring = await asyncio.to_thread(self.scorer.scoring, text_1, text_2)
        return scoring.results(await self.pool(scoring.jobs, request_id, priority=priority))

    async def pool(
        self, jobs: Sequence[PoolingJob], request_id: str | None = None, *, priority: int = 0
    ) -> list[RequestOutput]:
        """The last report of each text, in order. When one fails, or nobody waits, the others end.

        However many texts there are, only as many as a step computes wait in the queue at a time.
        request_id  names the call for `abort`, its texts with "-0", "-1" … behind it; None: numbers
        A task that is cancelled frees what its texts hold. Raises what `generate` raises, and
        PyLLMError when a text was given up.
        """
        check_priority(priority)
        if request_id is not None:
            _check_id(request_id)
        at_once = self.max_num_seqs
        places = asyncio.Semaphore(at_once)

        async def output_of(index: int, job: PoolingJob) -> RequestOutput:
            name = None if request_id is None else f"{request_id}-{index}"
            async with places:
                # The first of them knock; the others belong to a call that was let in.
                make = partial(self._make_pooling, job, priority)
                opened = await self._open(make, name, refusable=index < at_once)
                try:
                    (output,) = [output async for output in opened]
                finally:
                    opened.close()
            pooled_by(output)  # raises now, not when the other texts have been read
            return output

        tasks = [asyncio.create_task(output_of(*numbered)) for numbered in enumerate(jobs)]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _make_pooling(self, job: PoolingJob, priority: int, number: int, name: str) -> Request:
        make = self._llm.engine.make_pooling_request
        return make(*job.encode(), job.params, name, priority, job.salt, number=number)

    async def _open(
        self,
        make: Callable[[int, str], Request],
        request_id: str | None,
        *,
        refusable: bool = True,
    ) -> OpenRequest:
        """The request that `make` makes, on another thread, of a number drawn for it and its name.

        refusable  a full queue may say no
        """
        # Here, in the order of the calls: texts are encoded at the same time.
        number, name = self._llm.engine.draw_number(request_id)
        # A full queue says no before any work is done: hundreds may come at once.
        room = self._llm.thread.preparing() if refusable else nullcontext()
        # Not on the event loop: a long text takes tens of milliseconds, a grammar up to two
        # seconds, and others wait for it.
        with room, self._llm.thread.expecting(name):
            request = await asyncio.to_thread(make, number, name)
            inbox = AsyncInbox(self._mailbox(), request.params.output_kind)
            self._llm.thread.submit([request], inbox, refusable=refusable)
        return OpenRequest(self._llm.thread, inbox, request)

    async def _reports(
        self,
        encode: Callable[[], Encoded],
        params: SamplingParams,
        request_id: str | None,
        priority: int,
        salt: str | None,
        *,
        token_healing: bool = False,
    ) -> AsyncGenerator[RequestOutput, None]:
        opened = await self.open(
            lambda: (encode(), params),
            request_id,
            priority=priority,
            cache_salt=salt,
            token_healing=token_healing,
        )
        try:
            async for output in opened:
                yield output
        finally:
            opened.close()

    def _mailbox(self) -> LoopMailbox:
        loop = asyncio.get_running_loop()
        if loop not in self._mailboxes:
            for other in [loop for loop in self._mailboxes if loop.is_closed()]:
                del self._mailboxes[other]
            self._mailboxes[loop] = LoopMailbox(loop)
        return self._mailboxes[loop]


def _checked(params: SamplingParams) -> SamplingParams:
    if not isinstance(params, SamplingParams):
        raise RequestError("sampling_params", params, "must be SamplingParams")
    return params


def _check_id(request_id: object) -> None:
    if not isinstance(request_id, str):
        raise RequestError("request_id", request_id, "must be a string")


def _check_limits(max_requests: int | None, max_tokens: int | None) -> None:
    if max_requests is not None:
        check_integer("max_num_queued_requests", max_requests, 0, 2**31 - 1)
    if max_tokens is not None:
        check_integer("max_num_queued_tokens", max_tokens, 0, 2**62)
