"""What all routes share: models, metrics, and the two ways to ask a model for text."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol

from pyllm.engine.open_request import OpenRequest
from pyllm.errors import ModelFileError, PyLLMError
from pyllm.outputs import RequestOutput
from pyllm.pooling.embedding import PoolingJob
from pyllm.prompts import Encoded, Prompt, encode_prompt
from pyllm.sampling.params import SamplingParams
from pyllm.server.answer_run import AnswerRun
from pyllm.server.errors import ApiError, as_api_error
from pyllm.server.model_card import ModelCard
from pyllm.server.model_registry import Lease, ModelRegistry
from pyllm.server.request_facts import note_finished
from pyllm.server.sampling import joined_salt
from pyllm.server.settings import ServerSettings
from pyllm.server.structure import Structure, named
from pyllm.tool_calls import AnswerPlan, ToolRequest


@dataclass(frozen=True)
class Caller:
    """Who asks: of every request.

    tenant      stands for the caller's key; callers with different ones share no cached prefixes
    request_id  of the HTTP request, as the log and the response's header have it
    """

    tenant: str | None
    request_id: str


@dataclass(frozen=True)
class ChatJob:
    """One conversation to be answered, in no dialect.

    params       without structured outputs; `output_kind` as the dialect wants its reports
    structure    of the answer, behind any reasoning
    thinking     whether the model should think aloud first; None: as its template has it
    """

    messages: Sequence[Mapping[str, Any]]
    params: SamplingParams
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    parallel_tool_calls: bool = True
    structure: Structure | None = None
    thinking: bool | None = None
    template: str | None = None
    template_variables: Mapping[str, Any] = field(default_factory=dict)
    continue_final_message: bool = False
    add_generation_prompt: bool = True
    priority: int = 0
    cache_salt: str | None = None
    timeout: float | None = None
    keep_alive: float | None = None


@dataclass(frozen=True)
class TextJob:
    """Prompts to be continued as they are; `structure` as in ChatJob."""

    prompts: Sequence[Prompt]
    params: SamplingParams
    structure: Structure | None = None
    add_special: bool = True
    parse_special: bool = False
    priority: int = 0
    cache_salt: str | None = None
    timeout: float | None = None


class Watcher(Protocol):
    """Is told what becomes of requests, for the metrics."""

    def request_finished(self, model_name: str, output: RequestOutput) -> None: ...

    def cancelled(self, model_name: str, phase: Literal["encode"]) -> None: ...


class Service:
    """Belongs to one event loop."""

    def __init__(
        self,
        settings: ServerSettings,
        registry: ModelRegistry,
        watcher: Watcher | None = None,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self._watcher = watcher
        self._runs: weakref.WeakSet[AnswerRun] = weakref.WeakSet()

    async def lease(
        self,
        model: str | None,
        keep_alive: float | None = None,
        *,
        timeout: float | None = None,
    ) -> Lease:
        """The model, loaded. ApiError when that fails, or takes longer than the request may."""
        limit = asyncio.timeout(self._seconds(timeout))
        try:
            async with limit:
                return await self.registry.lease(model, keep_alive)
        except (PyLLMError, OSError) as error:
            if limit.expired():
                raise _too_late() from None
            raise as_api_error(error) from error

    async def card(self, model: str | None) -> ModelCard:
        """What the model's file says of itself; nothing is loaded. ApiError when it cannot."""
        try:
            return await self.registry.card(model)
        except (ModelFileError, OSError) as error:
            message = "the model's file cannot be read; the server's log says why"
            raise ApiError(500, message, "model_load_failed", param="model") from error

    def cut(self) -> None:
        """End all answers with an error: the server stops."""
        for run in list(self._runs):
            run.cut(ApiError(503, "the server is shutting down; try again later", "shutting_down"))

    async def chat(self, lease: Lease, job: ChatJob, caller: Caller) -> AnswerRun:
        """Queue the conversation; the run owns the lease from here on. ApiError when refused."""
        start = partial(self._open_chat, lease, job, caller)
        return await self._opened(lease, start, job.structure)

    async def count_tokens(self, lease: Lease, job: ChatJob) -> int:
        """Of the conversation's prompt; gives the lease back. ApiError when it is refused."""
        try:
            (_, token_ids), _ = await asyncio.to_thread(_rendered, lease, job)
        except PyLLMError as error:
            raise as_api_error(error) from error
        finally:
            lease.release()
        return len(token_ids)

    async def complete(self, lease: Lease, job: TextJob, caller: Caller) -> AnswerRun:
        """Queue all prompts, or none; the run owns the lease from here on."""
        start = partial(self._open_text, lease, job, caller)
        return await self._opened(lease, start, job.structure)

    async def read(
        self,
        lease: Lease,
        jobs: Sequence[PoolingJob],
        caller: Caller,
        *,
        priority: int = 0,
        timeout: float | None = None,
    ) -> list[RequestOutput]:
        """Texts that are embedded or scored: their last reports. PyLLMError, ApiError when late."""
        salted = [replace(job, salt=joined_salt(caller.tenant, job.salt)) for job in jobs]
        deadline = self._deadline(lease, timeout)
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                outputs = await lease.llm.pool(salted, priority=priority)
        except TimeoutError:
            raise _too_late() from None
        for output in outputs:
            self._finished(lease.name, output)
        return outputs

    async def _opened(
        self, lease: Lease, start: Callable[[], Any], structure: Structure | None
    ) -> AnswerRun:
        try:
            with named(structure):
                run: AnswerRun = await start()
        except BaseException as error:
            lease.release()
            if isinstance(error, asyncio.CancelledError) and self._watcher is not None:
                self._watcher.cancelled(lease.name, "encode")
            if isinstance(error, PyLLMError):
                raise as_api_error(error) from error
            raise
        self._runs.add(run)
        return run

    async def _open_chat(self, lease: Lease, job: ChatJob, caller: Caller) -> AnswerRun:
        plans: list[AnswerPlan] = []

        def prepare() -> tuple[Encoded, SamplingParams]:
            encoded, plan = _rendered(lease, job)
            plans.append(plan)
            params = replace(
                job.params,
                structured_outputs=plan.structured_outputs,
                skip_special_tokens=job.params.skip_special_tokens and plan.skip_special_tokens,
            )
            return encoded, params

        deadline = self._deadline(lease, job.timeout)
        opened = await lease.llm.open(
            prepare,
            priority=job.priority,
            cache_salt=joined_salt(caller.tenant, job.cache_salt),
        )
        return AnswerRun(
            lease,
            [opened],
            job.params.n,
            parser=lambda index: plans[0].parser(f"{caller.request_id}-{index}"),
            deadline=deadline,
            on_finished=self._finished,
        )

    async def _open_text(self, lease: Lease, job: TextJob, caller: Caller) -> AnswerRun:
        llm, deadline = lease.llm, self._deadline(lease, job.timeout)
        structure = None if job.structure is None else job.structure.checked()
        params = replace(job.params, structured_outputs=structure)
        tokenizer, salt = llm.get_tokenizer(), joined_salt(caller.tenant, job.cache_salt)

        def prepare(prompt: Prompt) -> tuple[Encoded, SamplingParams]:
            special, parse = job.add_special, job.parse_special
            return encode_prompt(
                prompt, tokenizer, add_special=special, parse_special=parse
            ), params

        opening = [
            llm.open(partial(prepare, prompt), priority=job.priority, cache_salt=salt)
            for prompt in job.prompts
        ]
        tasks = [asyncio.ensure_future(request) for request in opening]
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        except BaseException:  # cancelled: some may be open already
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, OpenRequest):
                    result.close()
            raise
        failures = [result for result in results if isinstance(result, BaseException)]
        opened = [result for result in results if not isinstance(result, BaseException)]
        if failures:
            for request in opened:
                request.close()
            raise failures[0]
        return AnswerRun(lease, opened, params.n, deadline=deadline, on_finished=self._finished)

    def _finished(self, model: str, output: RequestOutput) -> None:
        note_finished(model, output)
        if self._watcher is not None:
            self._watcher.request_finished(model, output)

    def _deadline(self, lease: Lease, timeout: float | None) -> float | None:
        """Of time.monotonic(); what the request waited for its model is part of its time."""
        seconds = self._seconds(timeout)
        return None if seconds is None else time.monotonic() - lease.load_seconds + seconds

    def _seconds(self, timeout: float | None) -> float | None:
        limits = [limit for limit in (timeout, self.settings.request_timeout) if limit is not None]
        return min(limits, default=None)


def _too_late() -> ApiError:
    return ApiError(504, "the request took longer than it may", "request_timeout")


def _rendered(lease: Lease, job: ChatJob) -> tuple[Encoded, AnswerPlan]:
    """The conversation as the model reads it, and how its answer is to be read."""
    form = lease.model.chat_format
    request = ToolRequest.of(job.tools or None, job.tool_choice, job.parallel_tool_calls)
    encoded = lease.model.render(
        job.messages,
        template=job.template,
        tools=request.definitions or None,
        variables=job.template_variables,
        thinking=job.thinking,
        add_generation_prompt=job.add_generation_prompt and not job.continue_final_message,
        continue_final_message=job.continue_final_message,
    )
    structure = None if job.structure is None else job.structure.checked()
    return encoded, form.plan(request, encoded[0] or "", structure)
