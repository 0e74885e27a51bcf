"""/api/chat."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.server.answer_run import AnswerRun
from pyllm.server.body import StrictRoute
from pyllm.server.collect import Call, Choice, collect
from pyllm.server.errors import ApiError, finished_badly
from pyllm.server.events import CallArguments, CallStart, ChoiceEnd, Text, Tokens, Usage
from pyllm.server.lease_guard import released_on_failure
from pyllm.server.model_registry import Lease
from pyllm.server.ollama.parameters import keep_alive_of, params_of, structure_of, thinking_of
from pyllm.server.ollama.protocol import ChatRequest, Message
from pyllm.server.ollama.schemas import refusals
from pyllm.server.ollama.writing import counts, done_reason, head
from pyllm.server.openai.common import (
    PlainJSON,
    caller_of,
    json_answer,
    lease_of,
    read_fields,
    service_of,
)
from pyllm.server.openai.logprobs import chat_logprobs
from pyllm.server.service import ChatJob, Service
from pyllm.server.streams import StreamResponse, json_line
from pyllm.server.tool_fields import parsed_arguments

router = APIRouter(route_class=StrictRoute, tags=["Ollama"])


@router.post("/api/chat", responses=refusals(streams=True))
async def chat(body: ChatRequest, request: Request) -> Response:
    """Answer a conversation; without messages the model is loaded, or unloaded by keep_alive 0."""
    service, caller = service_of(request), caller_of(request)
    keep_alive = keep_alive_of(body)
    message = {"role": "assistant", "content": ""}
    if not body.messages and is_unloaded(service, body.model, keep_alive):
        return PlainJSON(loaded(body.model, keep_alive, {"message": message}))
    lease = await lease_of(request, body.model, keep_alive)
    if not body.messages:
        lease.release()
        return PlainJSON(loaded(body.model, keep_alive, {"message": message}))
    with released_on_failure(lease):
        job = await read_fields(request, partial(_job, body, lease))
    run = await service.chat(lease, job, caller)
    writer = _Writer(body, lease)
    if body.stream is False:
        answer = await collect(run, request)
        (choice,) = answer.choices
        whole = partial(writer.whole, choice, answer.usage)
        return await json_answer(whole, choice.size(body.top_logprobs or 0))
    return StreamResponse(writer.stream(run), "application/x-ndjson", close=run.close)


def is_unloaded(service: Service, model: str, keep_alive: float | None) -> bool:
    """A model that is to be unloaded is not there: nothing needs to be done."""
    return keep_alive == 0 and service.registry.is_absent(model)


def loaded(model: str, keep_alive: float | None, empty: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request for nothing: the model is loaded, or about to be unloaded."""
    reason = "unload" if keep_alive == 0 else "load"
    return {**head(model), **empty, "done": True, "done_reason": reason}


def _job(body: ChatRequest, lease: Lease) -> ChatJob:
    thinking, variables = thinking_of(body)
    return ChatJob(
        messages=[_message(message) for message in body.messages],
        params=params_of(body, lease.card.sampling, body.stream is not False),
        tools=[tool.model_dump(exclude_none=True) for tool in body.tools or ()],
        structure=structure_of(body),
        thinking=thinking,
        template_variables=variables,
    )


def _message(message: Message) -> dict[str, Any]:
    """The same in OpenAI's shape, which templates are written for."""
    found: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if message.thinking:
        found["reasoning_content"] = message.thinking
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "id": call.id or "",
                "type": "function",
                "function": {
                    "name": call.function.name,
                    "arguments": json.dumps(call.function.arguments, ensure_ascii=False),
                },
            }
            for call in message.tool_calls
        ]
    if message.tool_name:
        found["name"] = message.tool_name
    if message.tool_call_id:
        found["tool_call_id"] = message.tool_call_id
    return found


class _Writer:
    """One response in Ollama's words."""

    def __init__(self, body: ChatRequest, lease: Lease) -> None:
        self._body = body
        self._tokenizer = lease.llm.get_tokenizer()
        self._open: Call | None = None  # a tool call whose arguments are not complete
        self._logprobs: list[dict[str, Any]] = []

    def whole(self, choice: Choice, usage: Usage) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": choice.text}
        if choice.reasoning:
            message["thinking"] = choice.reasoning
        if choice.calls:
            message["tool_calls"] = [_written(call, i) for i, call in enumerate(choice.calls)]
        found = {**head(self._body.model), "message": message, "done": True}
        found["done_reason"] = done_reason(choice.finish_reason)
        if choice.logprobs is not None:
            found["logprobs"] = self._listed(choice.token_ids, choice.logprobs)
        return {**found, **counts(usage)}

    def _listed(self, token_ids: list[int], logprobs: Any) -> list[dict[str, Any]]:
        top = self._body.top_logprobs or 0
        return chat_logprobs(self._tokenizer, token_ids, logprobs, top)

    async def stream(self, run: AnswerRun) -> AsyncIterator[bytes]:
        """Lines of JSON; a tool call comes whole, as Ollama's do."""
        calls, reason = 0, "stop"
        try:
            async for found in run:
                if isinstance(found, CallStart | ChoiceEnd) and self._open is not None:
                    yield self._line({"tool_calls": [_written(self._open, calls)], "content": ""})
                    calls, self._open = calls + 1, None
                match found:
                    case Tokens(_, token_ids, logprobs):
                        if logprobs is not None:
                            self._logprobs += self._listed(token_ids, logprobs)
                    case Text(_, text, reasoning):
                        part = {"content": "", "thinking": text} if reasoning else {"content": text}
                        yield self._line(part)
                    case CallStart(_, _, call_id, name):
                        self._open = Call(call_id, name)
                    case CallArguments(_, _, text):
                        assert self._open is not None
                        self._open.arguments += text
                    case ChoiceEnd(_, finish_reason, stop_reason):
                        if finish_reason == "error":
                            raise finished_badly(stop_reason)
                        reason = done_reason(finish_reason)
                    case Usage():
                        last = self._chunk({"content": ""})
                        yield json_line(
                            {**last, "done": True, "done_reason": reason, **counts(found)}
                        )
        except ApiError as error:
            yield json_line({"error": error.message})

    def _line(self, message: dict[str, Any]) -> bytes:
        return json_line(self._chunk(message))

    def _chunk(self, message: dict[str, Any]) -> dict[str, Any]:
        found = {**head(self._body.model), "message": {"role": "assistant", **message}}
        found["done"] = False
        if self._logprobs:
            found["logprobs"], self._logprobs = self._logprobs, []
        return found


def _written(call: Call, index: int) -> dict[str, Any]:
    arguments = parsed_arguments(call.arguments)
    function = {"index": index, "name": call.name, "arguments": arguments}
    return {"id": call.id, "function": function}
