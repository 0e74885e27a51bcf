"""One line for each HTTP request, when it is over. What was asked and answered is never in it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Protocol

from pyllm.server.edge.asgi import App, Message, Receive, Scope, Send
from pyllm.server.request_facts import RequestFacts, current_facts

__all__ = ["RequestLog"]

_log = logging.getLogger(__name__)

_UNMATCHED = "unmatched"  # routes go into labels and lines; a path may be anything
_NOT_ANSWERED = 499  # nginx's number for a client that left first
# Asked every few seconds by machines: only who wants everything sees these.
_ROUTINE = frozenset({"/health", "/ready", "/metrics"})
_STALL_S = 0.01  # a write that finds room in the socket takes a hundredth of that


class HttpCounts(Protocol):
    """ServerMetrics, as far as it counts what is seen here."""

    def answered(self, route: str, status: int) -> None: ...

    def rejected(self, code: str | None) -> None: ...

    def stalled(self, seconds: float) -> None: ...


class RequestLog:
    """Around the edge, so that its refusals are counted and written down too."""

    def __init__(self, app: App, counts: HttpCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, facts, answer = time.perf_counter(), RequestFacts(), _Answer(send, self._counts)
        token = current_facts.set(facts)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            answer.failed()
            raise
        finally:
            current_facts.reset(token)
            route = _route(scope)
            self._counts.answered(route, answer.status)
            if answer.status < 400:  # others were counted when they were written down
                self._counts.rejected(facts.error)
            level = logging.DEBUG if route in _ROUTINE else logging.INFO
            if _log.isEnabledFor(level):
                seconds = time.perf_counter() - began
                fields = _fields(scope, route, answer, facts, seconds)
                _log.log(level, "request", extra={"fields": fields})


class _Answer:
    """What was sent of an answer."""

    def __init__(self, send: Send, counts: HttpCounts) -> None:
        self._send = send
        self._counts = counts
        self.status = _NOT_ANSWERED
        self.complete = False

    def failed(self) -> None:
        """The application raised: unless it had begun to answer, the client is told so."""
        if self.status == _NOT_ANSWERED:
            self.status = 500

    async def send(self, message: Message) -> None:
        began = time.perf_counter()
        try:
            await self._send(message)
        finally:
            seconds = time.perf_counter() - began
            if seconds > _STALL_S:
                self._counts.stalled(seconds)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif not message.get("more_body", False):
            self.complete = True


def _route(scope: Scope) -> str:
    """The template of the path, as the router left it."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else _UNMATCHED


def _fields(
    scope: Scope, route: str, answer: _Answer, facts: RequestFacts, seconds: float
) -> Mapping[str, object]:
    client = scope.get("client")
    return {
        "request_id": scope.get("state", {}).get("request_id"),
        "client": client[0] if client else None,
        "method": scope["method"],
        "route": route,
        "status": answer.status,
        "complete": answer.complete,
        "model": facts.model,
        "prompt_tokens": facts.prompt_tokens,
        "cached_tokens": facts.cached_tokens,
        "completion_tokens": facts.completion_tokens,
        "queue_ms": _ms(facts.queue_s),
        "ttft_ms": _ms(facts.first_token_s),
        "total_ms": _ms(seconds),
        "finish_reason": facts.finish_reason,
        "error": facts.error,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
