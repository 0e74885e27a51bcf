"""/api/generate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import RequestError
from pyllm.server.answer_run import AnswerRun
from pyllm.server.body import StrictRoute
from pyllm.server.collect import Choice, collect
from pyllm.server.errors import ApiError, finished_badly
from pyllm.server.events import ChoiceEnd, Event, PromptRead, Text, Tokens, Usage
from pyllm.server.infill import infill_prompt
from pyllm.server.lease_guard import released_on_failure
from pyllm.server.model_registry import Lease
from pyllm.server.ollama.chat import is_unloaded, loaded
from pyllm.server.ollama.parameters import keep_alive_of, params_of, structure_of, thinking_of
from pyllm.server.ollama.protocol import GenerateRequest
from pyllm.server.ollama.schemas import refusals
from pyllm.server.ollama.writing import counts, done_reason, head
from pyllm.server.openai.common import (
    PlainJSON,
    caller_of,
    json_answer,
    lease_of,
    service_of,
)
from pyllm.server.openai.logprobs import chat_logprobs
from pyllm.server.service import Caller, ChatJob, Service, TextJob
from pyllm.server.streams import StreamResponse, json_line

router = APIRouter(route_class=StrictRoute, tags=["Ollama"])


@router.post("/api/generate", responses=refusals(streams=True))
async def generate(body: GenerateRequest, request: Request) -> Response:
    """Answer one prompt through the model's template, or continue it with `raw` or `suffix`.

    Without a prompt the model is loaded, or unloaded by keep_alive 0.
    """
    service = service_of(request)
    keep_alive = keep_alive_of(body)
    if not body.prompt and body.suffix is None and is_unloaded(service, body.model, keep_alive):
        return PlainJSON(loaded(body.model, keep_alive, {"response": ""}))
    lease = await lease_of(request, body.model, keep_alive)
    if not body.prompt and body.suffix is None:
        lease.release()
        return PlainJSON(loaded(body.model, keep_alive, {"response": ""}))
    with released_on_failure(lease):
        more = (body, lease, service, caller_of(request))
        if body.suffix is None and not body.context:
            start = _start(*more)
        else:  # a template is rendered, which takes as long as whoever wrote it likes
            start = await asyncio.to_thread(_start, *more)
    run = await start()
    writer = _Writer(body, lease)
    if body.stream is False:
        answer = await collect(run, request)
        context = [*answer.prompts[0].token_ids, *answer.choices[0].token_ids]
        whole = partial(writer.whole, answer.choices[0], answer.usage, context)
        return await json_answer(whole, answer.size(body.top_logprobs or 0))
    return StreamResponse(writer.stream(run), "application/x-ndjson", close=run.close)


def _start(body: GenerateRequest, lease: Lease, service: Service, caller: Caller) -> Any:
    """Queues the request when called."""
    params = params_of(body, lease.card.sampling, body.stream is not False)
    structure, (thinking, variables) = structure_of(body), thinking_of(body)
    if body.raw and body.system:
        raise RequestError("system", body.system, "does not go with raw: no template has a place")
    raw = body.raw or body.suffix is not None or lease.card.chat_template is None
    if raw or body.context:
        prompt = _prompt(body, lease)
        job = TextJob([prompt], params, structure=structure)
        return partial(service.complete, lease, job, caller)
    chat = ChatJob(
        _messages(body),
        params,
        structure=structure,
        thinking=thinking,
        template_variables=variables,
    )
    return partial(service.chat, lease, chat, caller)


def _messages(body: GenerateRequest) -> list[dict[str, str]]:
    system = [{"role": "system", "content": body.system}] if body.system else []
    return [*system, {"role": "user", "content": body.prompt or ""}]


def _prompt(body: GenerateRequest, lease: Lease) -> str | list[int]:
    tokenizer = lease.llm.get_tokenizer()
    if body.suffix is not None:
        return infill_prompt(tokenizer, body.prompt or "", body.suffix)
    if not body.context:
        return body.prompt or ""
    if body.raw or lease.card.chat_template is None:
        return [*body.context, *tokenizer.encode(body.prompt or "", add_special=False)]
    thinking, variables = thinking_of(body)
    _, ids = lease.model.render(_messages(body), variables=variables, thinking=thinking)
    return [*body.context, *(ids[1:] if ids[:1] == [tokenizer.bos_id] else ids)]


class _Writer:
    """One response in Ollama's words."""

    def __init__(self, body: GenerateRequest, lease: Lease) -> None:
        self._body = body
        self._tokenizer = lease.llm.get_tokenizer()
        self._context: list[int] = []
        self._logprobs: list[dict[str, Any]] = []
        self._reason = "stop"

    def whole(self, choice: Choice, usage: Usage, context: list[int]) -> dict[str, Any]:
        found = {**head(self._body.model), "response": choice.text, "done": True}
        if choice.reasoning:
            found["thinking"] = choice.reasoning
        if choice.logprobs is not None:
            found["logprobs"] = self._listed(choice.token_ids, choice.logprobs)
        found["done_reason"] = done_reason(choice.finish_reason)
        return {**found, "context": context, **counts(usage)}

    def _listed(self, token_ids: list[int], logprobs: Any) -> list[dict[str, Any]]:
        top = self._body.top_logprobs or 0
        return chat_logprobs(self._tokenizer, token_ids, logprobs, top)

    async def stream(self, run: AnswerRun) -> AsyncIterator[bytes]:
        """Lines of JSON."""
        try:
            async for found in run:
                for line in self._lines(found):
                    yield line
        except ApiError as error:
            yield json_line({"error": error.message})

    def _lines(self, found: Event) -> list[bytes]:
        match found:
            case PromptRead(_, _, token_ids):
                self._context += token_ids
            case Tokens(_, token_ids, logprobs):
                self._context += token_ids
                if logprobs is not None:
                    self._logprobs += self._listed(token_ids, logprobs)
            case Text(_, text, reasoning):
                part = {"response": "", "thinking": text} if reasoning else {"response": text}
                return [json_line(self._chunk(part))]
            case ChoiceEnd(_, finish_reason, stop_reason):
                if finish_reason == "error":
                    raise finished_badly(stop_reason)
                self._reason = done_reason(finish_reason)
            case Usage():
                last = {**self._chunk({"response": ""}), "done": True, "done_reason": self._reason}
                return [json_line({**last, "context": self._context, **counts(found)})]
        return []

    def _chunk(self, part: dict[str, Any]) -> dict[str, Any]:
        found = {**head(self._body.model), **part, "done": False}
        if self._logprobs:
            found["logprobs"], self._logprobs = self._logprobs, []
        return found
