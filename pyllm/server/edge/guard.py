"""The last line: whatever goes wrong inside, a stranger learns a request id and nothing else."""

from __future__ import annotations

import logging
import re
import secrets

from pyllm.server.edge.asgi import App, Message, Receive, Scope, Send, header
from pyllm.server.edge.leaks import find_leak
from pyllm.server.edge.refusal import Refusal, RenderRefusal, send_refusal

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_MAX_ERROR_BYTES = 64 * 1024


class Guard:
    """Gives every request an id, and turns unexpected exceptions into a bare 500.

    The id is the client's own X-Request-Id when it is a plain word; it is in
    `scope["state"]["request_id"]` and in the answer's headers. The traceback goes to the log, under
    the id. Answers of 500 and above are read before they leave: one with a path, an address or a
    traceback in it is replaced, because such texts come from exceptions, not from what the client
    sent.
    """

    def __init__(self, app: App, render: RenderRefusal) -> None:
        self._app = app
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(scope, send, request_id, self._render)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            logger.exception("request %s failed", request_id)
            if not answer.started:
                await answer.send_unexpected()
            # Otherwise the answer stays unfinished, and the server closes the connection.


class _Answer:
    """One answer on its way out; a server error waits here until it has been read."""

    def __init__(self, scope: Scope, send: Send, request_id: str, render: RenderRefusal) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._render = render
        self._held: Message | None = None  # the start of a server error
        self._body = bytearray()
        self._replaced = False
        self.started = False

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if message["status"] >= 500:
                self._held = message
            else:
                await self._forward(message)
        elif self._held is None:
            await self._forward(message)
        else:
            self._body += message.get("body", b"")
            if len(self._body) > _MAX_ERROR_BYTES or not message.get("more_body", False):
                await self._send_read(self._held, bytes(self._body))

    async def send_unexpected(self, status: int = 500) -> None:
        self._replaced = True
        text = f"the server failed on this request; its log has the reason under {self._request_id}"
        refusal = Refusal(status, "internal_error", text)
        await send_refusal(self._scope, self._forward, refusal, self._render)

    async def _send_read(self, start: Message, body: bytes) -> None:
        self._held = None
        leak = find_leak(body.decode("utf-8", "replace"))
        if leak is None and len(body) <= _MAX_ERROR_BYTES:
            await self._forward(start)
            await self._forward({"type": "http.response.body", "body": body})
            return
        logger.error("request %s: withheld a %d with %r", self._request_id, start["status"], leak)
        await self.send_unexpected(start["status"])

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [
                *message.get("headers", []),
                (b"x-request-id", self._request_id.encode()),
                (b"request-id", self._request_id.encode()),  # as Anthropic's clients know it
                (b"x-content-type-options", b"nosniff"),
            ]
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = header(scope, b"x-request-id") or b""
    return given.decode() if _REQUEST_ID.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    """Of a request that brings none."""
    return f"req-{secrets.token_hex(12)}"
