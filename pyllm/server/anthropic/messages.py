"""/v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.sampling.thinking_budget import can_limit_thinking
from pyllm.server.anthropic.conversation import chat_job
from pyllm.server.anthropic.protocol import CountRequest, MessagesRequest
from pyllm.server.anthropic.schemas import Message, TokenCount, refusals
from pyllm.server.anthropic.writer import PING, MessageWriter
from pyllm.server.body import StrictRoute
from pyllm.server.collect import read_all
from pyllm.server.lease_guard import released_on_failure
from pyllm.server.model_registry import Lease
from pyllm.server.openai.common import PlainJSON, caller_of, lease_of, read_fields, service_of
from pyllm.server.service import ChatJob
from pyllm.server.streams import StreamResponse

router = APIRouter(route_class=StrictRoute, tags=["Anthropic"])


@router.post("/v1/messages", response_model=Message, responses=refusals(streams=True))
async def messages(body: MessagesRequest, request: Request) -> Response:
    """Answer a conversation, whole or as a stream of server-sent events.

    The headers anthropic-version and anthropic-beta may say anything: there is one version.
    """
    service, caller = service_of(request), caller_of(request)
    lease = await lease_of(request, body.model)
    job = await _job(body, lease, request, stream=bool(body.stream))
    run = await service.chat(lease, job, caller)
    shows_thinking = body.thinking is None or body.thinking.display != "omitted"
    writer = MessageWriter(
        body.model or run.model,
        caller.request_id,
        prompt_tokens=run.prompt_tokens,
        max_tokens=body.max_tokens,
        shows_thinking=shows_thinking,
    )
    if body.stream:
        return StreamResponse(
            writer.stream(run), "text/event-stream", close=run.close, tick=lambda: PING
        )
    await read_all(run, request, writer.answer.read)
    return PlainJSON(writer.whole())


@router.post(
    "/v1/messages/count_tokens", response_model=TokenCount, responses=refusals(streams=False)
)
async def count_tokens(body: CountRequest, request: Request) -> Response:
    """How many tokens the prompt of such a request has."""
    service = service_of(request)
    lease = await lease_of(request, body.model)
    job = await _job(body, lease, request, stream=False)
    return PlainJSON({"input_tokens": await service.count_tokens(lease, job)})


async def _job(body: CountRequest, lease: Lease, request: Request, *, stream: bool) -> ChatJob:
    """Releases the lease when it raises ApiError."""

    def read() -> ChatJob:
        settings, defaults = service_of(request).settings, lease.card.sampling
        has_budget = can_limit_thinking(lease.llm.get_tokenizer())
        return chat_job(body, settings, defaults, has_budget=has_budget, stream=stream)

    with released_on_failure(lease):
        return await read_fields(request, read)
