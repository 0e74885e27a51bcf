"""The routes that batches may ask, called as functions: the same code, and no HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, get_type_hints

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from pyllm.server.body import BODY_BYTES, read_body
from pyllm.server.errors import ApiError, as_api_error
from pyllm.server.openai.common import error_response
from pyllm.server.service import Caller

_log = logging.getLogger(__name__)

# OpenAI's, and those of vLLM's run-batch; the ones among them that the application has.
_URLS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/rerank",
    "/v1/score",
)


@dataclass(frozen=True)
class Answer:
    """What a route said: the status of HTTP, and one line of JSON.

    retry_after  seconds until it makes sense to ask again, None when it never does
    """

    status: int
    body: bytes
    retry_after: float | None = None


class _Route(Protocol):
    def __call__(self, body: Any, request: Request) -> Awaitable[Response]: ...


class Endpoints:
    """What batches may ask of `app`."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._routes = dict(_found(app))

    @property
    def urls(self) -> tuple[str, ...]:
        """Paths that a line may ask, as "/v1/chat/completions"."""
        return tuple(self._routes)

    async def ask(
        self,
        url: str,
        fields: dict[str, Any],
        caller: Caller,
        *,
        size: int,
        priority: int | None = None,
        seed: int | None = None,
    ) -> Answer:
        """What the route at `url` answers to a body of `fields`; never raises for their sake.

        size      about the bytes of the fields' JSON
        priority  at least this number: later than who has a lower one
        seed      of what is sampled, where the body names none
        """
        model, route = self._routes[url]
        try:
            body = _with(read_body(model, fields), priority, seed)
            response = await route(body, _request(self._app, url, caller, size))
        except Exception as error:
            if not isinstance(error, ApiError):
                _log.exception("request %s failed", caller.request_id)
            refused = as_api_error(error)
            seconds = (refused.headers or {}).get("Retry-After")
            said = bytes(error_response(refused).body)
            return Answer(refused.status_code, said, float(seconds) if seconds else None)
        return Answer(response.status_code, bytes(response.body))


def _found(app: FastAPI) -> Iterator[tuple[str, tuple[type[BaseModel], _Route]]]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.path in _URLS and "POST" in (route.methods or ()):
            yield route.path, (get_type_hints(route.endpoint)["body"], route.endpoint)


def _with(body: BaseModel, priority: int | None, seed: int | None) -> BaseModel:
    names, changes = type(body).model_fields, dict[str, int]()
    if priority is not None and "priority" in names:
        changes["priority"] = max(priority, getattr(body, "priority", None) or 0)
    if seed is not None and "seed" in names and getattr(body, "seed", None) is None:
        changes["seed"] = seed
    return body.model_copy(update=changes) if changes else body


def _request(app: FastAPI, url: str, caller: Caller, size: int) -> Request:
    """Nothing came over a connection; routes look here for the application and the caller."""
    state = {"tenant": caller.tenant, "request_id": caller.request_id}
    scope = {
        "type": "http", "method": "POST", "path": url, "headers": [], "query_string": b"",
        "app": app, "state": state, BODY_BYTES: size,
    }  # fmt: skip
    return Request(scope, _never())


def _never() -> Callable[[], Awaitable[Message]]:
    """A `receive` of a client that never leaves."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    return receive
