"""/v1/responses: conversations of items, which the server may keep for the next request."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import RequestError
from pyllm.server.body import BODY_BYTES, StrictRoute
from pyllm.server.collect import read_all
from pyllm.server.errors import ApiError, as_api_error
from pyllm.server.lease_guard import released_on_failure
from pyllm.server.model_registry import Lease
from pyllm.server.off_loop import off_loop
from pyllm.server.openai.common import (
    PlainJSON,
    caller_of,
    json_answer,
    lease_of,
    progress_tick,
    service_of,
)
from pyllm.server.openai.responses_job import chat_job
from pyllm.server.openai.responses_protocol import Item, ResponsesRequest
from pyllm.server.openai.responses_schemas import Deleted, ItemList, ResponseObject, TokenCount
from pyllm.server.openai.responses_store import Conversation, ResponseStore, StoredResponse
from pyllm.server.openai.responses_tools import ResponseTools, tools_of
from pyllm.server.openai.responses_writer import ResponseWriter
from pyllm.server.openai.schemas import refusals
from pyllm.server.service import ChatJob
from pyllm.server.streams import StreamResponse

router = APIRouter(route_class=StrictRoute, tags=["OpenAI"])


def store_of(request: Request) -> ResponseStore:
    store: ResponseStore = request.app.state.responses
    return store


@router.post("/v1/responses", response_model=ResponseObject, responses=refusals("response.… event"))
async def create_response(body: ResponsesRequest, request: Request) -> Response:
    """Answer a conversation, whole or as a stream of server-sent events."""
    service, caller, store = service_of(request), caller_of(request), store_of(request)
    history = store.conversation(caller.tenant, body.previous_response_id)
    lease = await lease_of(request, body.model, timeout=body.timeout)
    tools, job = await _job(body, history, lease, request)
    tokenizer = lease.llm.get_tokenizer()
    run = await service.chat(lease, job, caller)
    number = secrets.token_hex(16)
    asked = request.scope.get(BODY_BYTES, 0)
    writer = ResponseWriter(body, number, run.model, tools, job.params, tokenizer, asked)

    async def keep(response: dict[str, Any]) -> None:
        if body.store is not False:
            kept = partial(_stored, response, body, number)
            store.put(caller.tenant, await off_loop(kept, writer.size))

    if body.stream:
        return StreamResponse(
            writer.stream(run, keep),
            "text/event-stream",
            close=run.close,
            tick=lambda: progress_tick(run),
        )
    await read_all(run, request, writer.read)
    response = writer.whole()
    await keep(response)
    return await json_answer(lambda: response, writer.size)


@router.post("/v1/responses/input_tokens", response_model=TokenCount, responses=refusals())
async def count_input_tokens(body: ResponsesRequest, request: Request) -> Response:
    """How many tokens the prompt of such a request has."""
    service, caller = service_of(request), caller_of(request)
    history = store_of(request).conversation(caller.tenant, body.previous_response_id)
    lease = await lease_of(request, body.model, timeout=body.timeout)
    _, job = await _job(body, history, lease, request)
    tokens = await service.count_tokens(lease, job)
    return PlainJSON({"object": "response.input_tokens", "input_tokens": tokens})


@router.get("/v1/responses/{response_id}", response_model=ResponseObject, responses=refusals())
async def one_response(response_id: str, request: Request, stream: bool = False) -> Response:
    """A response that was kept."""
    if stream:
        raise as_api_error(RequestError("stream", True, "a response is streamed once, when made"))
    stored = store_of(request).get(caller_of(request).tenant, response_id)
    return Response(stored.response, media_type="application/json")


@router.delete("/v1/responses/{response_id}", response_model=Deleted, responses=refusals())
async def delete_response(response_id: str, request: Request) -> Response:
    """Forget a response; those that follow it can no longer be continued."""
    store_of(request).delete(caller_of(request).tenant, response_id)
    return PlainJSON({"id": response_id, "object": "response", "deleted": True})


@router.post("/v1/responses/{response_id}/cancel", responses=refusals())
async def cancel_response(response_id: str, request: Request) -> Response:
    """Always refused: no response is made in the background. Closing the connection ends one."""
    store_of(request).get(caller_of(request).tenant, response_id)
    message = "the response is complete; one that is being made ends when its connection is closed"
    raise ApiError(400, message, "response_not_cancellable", param="response_id")


@router.get(
    "/v1/responses/{response_id}/input_items", response_model=ItemList, responses=refusals()
)
async def input_items(
    response_id: str,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Response:
    """The items that a response answered, those of the responses before it among them."""
    store, tenant = store_of(request), caller_of(request).tenant
    stored = store.get(tenant, response_id)
    before = store.conversation(tenant, stored.previous_id)
    size = before.size + len(stored.items)
    items = await off_loop(lambda: [*before.items(), *stored.input_items()], size)
    if order == "desc":
        items.reverse()
    if after is not None:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise as_api_error(RequestError("after", after, "must be the id of an item"))
        items = items[ids.index(after) + 1 :]
    page = items[:limit]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
    whole = {
        "object": "list",
        "data": page,
        "first_id": None,
        "last_id": None,
        **ends,
        "has_more": len(items) > len(page),
    }
    return await json_answer(lambda: whole, size)


async def _job(
    body: ResponsesRequest, history: Conversation, lease: Lease, request: Request
) -> tuple[ResponseTools, ChatJob]:
    """Releases the lease when it raises ApiError."""

    def read() -> tuple[ResponseTools, ChatJob]:
        tools = tools_of(body.tools or (), body.tool_choice)
        before = [Item.model_validate(item) for item in history.items()]
        settings = service_of(request).settings
        return tools, chat_job(body, before, tools, settings, lease.card.sampling)

    with released_on_failure(lease):
        return await off_loop(read, request.scope.get(BODY_BYTES, 0) + history.size)


def _stored(response: dict[str, Any], body: ResponsesRequest, number: str) -> StoredResponse:
    return StoredResponse.of(response, _items(body, number))


def _items(body: ResponsesRequest, number: str) -> list[dict[str, Any]]:
    """Those of the request, each with an id."""
    dumped = [item.model_dump(exclude_none=True) for item in body.input]
    return [{"id": f"item_{number}_{index}", **item} for index, item in enumerate(dumped)]
