"""/v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import RequestError
from pyllm.server.answer_run import AnswerRun
from pyllm.server.body import StrictRoute
from pyllm.server.collect import Answer, Choice, collect
from pyllm.server.errors import ApiError, finished_badly
from pyllm.server.events import (
    CallArguments,
    CallStart,
    ChoiceEnd,
    Event,
    PromptRead,
    Text,
    Tokens,
    Usage,
)
from pyllm.server.lease_guard import released_on_failure
from pyllm.server.model_registry import Lease
from pyllm.server.openai.common import (
    caller_of,
    error_body,
    json_answer,
    lease_of,
    progress_tick,
    prompt_progress,
    read_fields,
    service_of,
    timings_body,
    usage_body,
)
from pyllm.server.openai.logprobs import chat_logprobs, each_logprob
from pyllm.server.openai.parameters import params_of_chat, structure_of
from pyllm.server.openai.protocol import ChatRequest, NamedTool
from pyllm.server.openai.schemas import ChatCompletion, refusals
from pyllm.server.service import ChatJob, Service
from pyllm.server.streams import DONE, StreamResponse, event
from pyllm.server.template_fields import template_fields

router = APIRouter(route_class=StrictRoute, tags=["OpenAI"])


@router.post(
    "/v1/chat/completions",
    response_model=ChatCompletion,
    responses=refusals("chat.completion.chunk"),
)
async def chat_completions(body: ChatRequest, request: Request) -> Response:
    """Answer a conversation, whole or as a stream of server-sent events."""
    service, caller = service_of(request), caller_of(request)
    lease = await lease_of(request, body.model, timeout=body.timeout)
    with released_on_failure(lease):
        job = await read_fields(request, partial(chat_job, body, lease, service))
    run = await service.chat(lease, job, caller)
    writer = _Writer(body, lease, caller.request_id)
    if body.stream:
        return StreamResponse(
            writer.stream(run),
            "text/event-stream",
            close=run.close,
            tick=lambda: writer.progress(run),
        )
    answer = await collect(run, request)
    whole = partial(writer.whole, answer)
    return await json_answer(whole, answer.size(body.top_logprobs or 0))


def chat_job(body: ChatRequest, lease: Lease, service: Service) -> ChatJob:
    """The conversation in no dialect. Raises RequestError and ApiError."""
    thinking, variables = template_fields(
        service.settings, body.chat_template, body.chat_template_kwargs, body.enable_thinking,
        body.reasoning_effort,
    )  # fmt: skip
    for name in ("echo", "prompt_logprobs"):
        if getattr(body, name):
            limit = "is not supported here; /v1/completions has it"
            raise RequestError(name, getattr(body, name), limit)
    choice = body.tool_choice
    continues = bool(body.continue_final_message)
    if continues and body.add_generation_prompt:
        limit = "does not go with add_generation_prompt"
        raise RequestError("continue_final_message", True, limit)
    return ChatJob(
        messages=[message.model_dump(exclude_none=True) for message in body.messages],
        params=params_of_chat(body, lease.card.sampling, bool(body.stream)),
        tools=[tool.model_dump(exclude_none=True) for tool in body.tools or ()],
        tool_choice=choice.model_dump() if isinstance(choice, NamedTool) else choice,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        structure=structure_of(body),
        thinking=thinking,
        template=body.chat_template,
        template_variables=variables,
        continue_final_message=continues,
        add_generation_prompt=body.add_generation_prompt is not False,
        priority=body.priority or 0,
        cache_salt=body.cache_salt,
        timeout=body.timeout,
    )


class _Writer:
    """One response in OpenAI's words."""

    def __init__(self, body: ChatRequest, lease: Lease, request_id: str) -> None:
        self._body = body
        self._tokenizer = lease.llm.get_tokenizer()
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{request_id}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body.model or lease.name,
        }
        self._show_reasoning = body.include_reasoning is not False
        self._usage_in_stream = bool(body.stream_options and body.stream_options.include_usage)
        # Of each choice: log-probabilities that wait for the text they belong to.
        self._waiting: dict[int, list[dict[str, Any]]] = {}
        self._waiting_ids: dict[int, list[int]] = {}
        self._head_of_first: dict[str, Any] = {}  # more for the first chunk of each choice
        self._began: set[int] = set()

    def whole(self, answer: Answer) -> dict[str, Any]:
        body = {**self._head, "choices": [self._choice(choice) for choice in answer.choices]}
        if self._body.return_token_ids:
            body["prompt_token_ids"] = answer.prompts[0].token_ids
        body["usage"] = usage_body(answer.usage)
        body["timings"] = timings_body(answer.usage)
        return body

    def _choice(self, choice: Choice) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
        if choice.calls:
            message["content"] = choice.text or None
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in choice.calls
            ]
        if choice.reasoning and self._show_reasoning:
            message["reasoning_content"] = message["reasoning"] = choice.reasoning
        found: dict[str, Any] = {
            "index": choice.index,
            "message": message,
            "logprobs": None,
            "finish_reason": choice.finish_reason,
            "stop_reason": choice.stop_reason,
        }
        if choice.logprobs is not None:
            top = self._body.top_logprobs or 0
            scored = each_logprob(self._tokenizer, choice.token_ids, choice.logprobs, top)
            found["logprobs"] = {"content": scored}
        if self._body.return_token_ids:
            found["token_ids"] = choice.token_ids
        return found

    def _logprobs(self, token_ids: list[int], logprobs: Any) -> list[dict[str, Any]]:
        return chat_logprobs(self._tokenizer, token_ids, logprobs, self._body.top_logprobs or 0)

    def progress(self, run: AnswerRun) -> bytes:
        """What a silent stream says meanwhile."""
        if not self._body.return_progress:
            return progress_tick(run)
        return event(
            {**self._head_of_chunk(), "choices": [], "prompt_progress": prompt_progress(run)}
        )

    async def stream(self, run: AnswerRun) -> AsyncIterator[bytes]:
        """Server-sent events; an error in the middle is one of them."""
        self._head_of_chunk()
        try:
            async for found in run:
                if isinstance(found, Usage):
                    if self._usage_in_stream:
                        last = {**self._head, "choices": [], "usage": usage_body(found)}
                        yield event({**last, "timings": timings_body(found)})
                elif isinstance(found, ChoiceEnd) and found.finish_reason == "error":
                    yield event(error_body(finished_badly(found.stop_reason)))
                else:
                    for chunk in self._chunks(found):
                        yield event(chunk)
        except ApiError as error:
            yield event(error_body(error))
        yield DONE

    def _head_of_chunk(self) -> dict[str, Any]:
        self._head["object"] = "chat.completion.chunk"
        return self._head

    def _chunks(self, found: Event) -> list[dict[str, Any]]:
        match found:
            case PromptRead(_, _, token_ids):
                if self._body.return_token_ids:
                    self._head_of_first = {"prompt_token_ids": token_ids}
                return []
            case Tokens(index, token_ids, logprobs):
                if logprobs is not None:
                    self._waiting.setdefault(index, []).extend(self._logprobs(token_ids, logprobs))
                if self._body.return_token_ids:
                    self._waiting_ids.setdefault(index, []).extend(token_ids)
                return []
            case Text(index, text, reasoning):
                if not reasoning:
                    return self._delta(index, {"content": text})
                if self._show_reasoning:
                    return self._delta(index, {"reasoning_content": text, "reasoning": text})
                return []
            case CallStart(index, call, call_id, name):
                function: dict[str, Any] = {"name": name, "arguments": ""}
                start = {"index": call, "id": call_id, "type": "function", "function": function}
                return self._delta(index, {"tool_calls": [start]})
            case CallArguments(index, call, text):
                more = {"index": call, "function": {"arguments": text}}
                return self._delta(index, {"tool_calls": [more]})
            case ChoiceEnd(index, finish_reason, stop_reason):
                return self._delta(index, {}, finish_reason, stop_reason)
        return []

    def _delta(
        self,
        index: int,
        delta: dict[str, Any],
        finish_reason: str | None = None,
        stop_reason: int | str | None = None,
    ) -> list[dict[str, Any]]:
        """The first of a choice comes behind one that says whose it is, as OpenAI's does."""
        chunks = []
        if index not in self._began:
            self._began.add(index)
            first = self._chunk(index, {"role": "assistant", "content": ""}, None)
            chunks.append({**first, **self._head_of_first})
        choice = self._chunk(index, delta, finish_reason)
        if finish_reason is not None:
            choice["choices"][0]["stop_reason"] = stop_reason
        if waiting := self._waiting.pop(index, None):
            choice["choices"][0]["logprobs"] = {"content": waiting}
        if ids := self._waiting_ids.pop(index, None):
            choice["choices"][0]["token_ids"] = ids
        return [*chunks, choice]

    def _chunk(
        self, index: int, delta: dict[str, Any], finish_reason: str | None
    ) -> dict[str, Any]:
        choice = {
            "index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason
        }  # fmt: skip
        return {**self._head, "choices": [choice]}
