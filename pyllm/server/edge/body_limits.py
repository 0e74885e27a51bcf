"""Bodies: how large, how many at once, and how long they may take to arrive."""

from __future__ import annotations

import asyncio
import time

from pyllm.server.edge.asgi import App, Message, Receive, Scope, Send
from pyllm.server.edge.content_types import check_content_type, declared_length, has_body
from pyllm.server.edge.refusal import Refusal, RenderRefusal, send_refusal
from pyllm.server.edge.settings import EdgeSettings


class BodyLimits:
    """Counts a body while it streams in and cuts it off at the limit, declared or not.

    The refusal is sent from here at once; the application sees a client that left, and what it
    still sends is dropped. So no framework can turn the refusal into something else.
    """

    def __init__(self, app: App, settings: EdgeSettings, render: RenderRefusal) -> None:
        self._app = app
        self._settings = settings
        self._render = render
        self._buffered = 0  # bytes of bodies whose answers have not begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = _is_upload(scope["path"], self._settings.upload_paths)
        limit = self._settings.max_upload_bytes if upload else self._settings.max_body_bytes
        try:
            check_content_type(scope, upload=upload)
            if declared_length(scope) > limit:
                raise _too_large(limit)
        except Refusal as refusal:
            await send_refusal(scope, send, refusal, self._render)
            return
        body = _Body(self, scope, receive, send, limit, buffered=not upload)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if not body.refused:  # otherwise only how it took the news
                raise
        finally:
            body.release()

    def reserve(self, num_bytes: int) -> None:
        """Raises Refusal (503) when the bodies of all connections would exceed the memory."""
        if self._buffered + num_bytes > self._settings.max_buffered_bytes:
            text = "too many large requests at once; try again"
            raise Refusal(503, "bodies_too_large", text, headers=(("retry-after", "1"),))
        self._buffered += num_bytes

    def free(self, num_bytes: int) -> None:
        """Gives back what was reserved, in bytes."""
        self._buffered -= num_bytes

    @property
    def idle_s(self) -> float:
        """Seconds that the next part of a body may take."""
        return self._settings.body_idle_s

    @property
    def total_s(self) -> float:
        """Seconds that a whole body may take."""
        return self._settings.body_total_s

    async def refuse(self, scope: Scope, send: Send, refusal: Refusal) -> None:
        await send_refusal(scope, send, refusal, self._render)


class _Body:
    """One request's body on its way to the application."""

    def __init__(
        self,
        limits: BodyLimits,
        scope: Scope,
        receive: Receive,
        send: Send,
        limit: int,
        *,
        buffered: bool,
    ) -> None:
        self._limits = limits
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._holds = buffered  # an upload goes to disk
        self._reserved = 0
        self._read = 0
        self._complete = not has_body(scope)
        self._started = False
        self._deadline: float | None = None  # monotonic, from the first part that is asked for
        self.refused = False

    async def receive(self) -> Message:
        if self.refused:
            return {"type": "http.disconnect"}
        if self._complete:
            return await self._receive()
        try:
            return await self._next_part()
        except Refusal as refusal:
            self.refused = True
            if not self._started:
                await self._limits.refuse(self._scope, self._send, refusal)
            return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.refused:
            return
        self._started = True
        self.release()  # read and parsed by now: a long answer does not keep its question
        await self._send(message)

    def release(self) -> None:
        self._limits.free(self._reserved)
        self._reserved = 0

    async def _next_part(self) -> Message:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._limits.total_s
        patience = min(self._limits.idle_s, self._deadline - time.monotonic())
        try:
            async with asyncio.timeout(patience):
                message = await self._receive()
        except TimeoutError:
            raise Refusal(408, "body_timeout", "the body did not arrive in time") from None
        size = len(message.get("body", b""))
        self._read += size
        if self._read > self._limit:
            raise _too_large(self._limit)
        if self._holds:
            self._limits.reserve(size)
            self._reserved += size
        self._complete = not message.get("more_body", False)
        return message


def _is_upload(path: str, upload_paths: tuple[str, ...]) -> bool:
    return path in upload_paths


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "body_too_large", f"the body is larger than {limit} bytes")
