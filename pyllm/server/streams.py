"""Answers that are written while they are made: server-sent events and lines of JSON.

A client that leaves is noticed at once, whether it is being written to or not. One that reads
slowly holds at most what the transport buffers (64 KiB): meanwhile the engine's news are merged in
the request's inbox, and one that hardly reads is dropped: see edge/connection.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

T = TypeVar("T")

TICK_SECONDS = 10.0  # proxies close streams that are silent for a minute

DONE = b"data: [DONE]\n\n"


class ClientGone(Exception):
    """The client closed the connection before it was answered."""


def to_json(value: Any) -> bytes:
    """One line of UTF-8: no line end in it, whatever reader splits it. Iterators become lists."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_listed)
    # Clients that read by lines split there; in JSON they may as well be escaped.
    for separator in ("\u2028", "\u2029", "\x85"):
        if separator in text:
            text = text.replace(separator, f"\\u{ord(separator):04x}")
    return text.encode("utf-8", "replace")


def _listed(value: object) -> list[Any]:
    if not isinstance(value, Iterator):
        raise TypeError(f"{type(value).__name__} is not JSON")
    return list(value)


def event(value: Any, name: str | None = None, write: Callable[[Any], bytes] = to_json) -> bytes:
    """One server-sent event; `write` makes its JSON."""
    head = f"event: {name}\n".encode() if name else b""
    return b"%sdata: %s\n\n" % (head, write(value))


def json_line(value: Any) -> bytes:
    """One line of Ollama's streams."""
    return to_json(value) + b"\n"


def comment(text: str) -> bytes:
    """A server-sent event that no client shows: it keeps the connection open."""
    return f": {text}\n\n".encode()


class StreamResponse(Response):
    """Sends `chunks` as they come.

    close  called once at the end, however it comes: frees what the stream holds
    tick   asked after TICK_SECONDS without a chunk for something to send meanwhile
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        media_type: str,
        *,
        close: Callable[[], None],
        tick: Callable[[], bytes | None] | None = None,
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-store"
        self.headers["x-accel-buffering"] = "no"  # nginx would hold tokens back
        self._chunks = chunks
        self._close = close
        self._tick = tick
        self._sent = False  # something, since the last tick

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._pump_until_gone(receive, send)
        finally:
            self._close()

    async def _pump_until_gone(self, receive: Receive, send: Send) -> None:
        keep_alive = None
        if self._tick is not None:
            keep_alive = asyncio.create_task(self._keep_alive(send, self._tick))
        try:
            with contextlib.suppress(ClientGone):  # nobody is there to be told
                await while_connected(receive, self._pump(send))
        finally:
            if keep_alive is not None:
                keep_alive.cancel()
                await asyncio.gather(keep_alive, return_exceptions=True)

    async def _pump(self, send: Send) -> None:
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._sent = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _keep_alive(self, send: Send, tick: Callable[[], bytes | None]) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            chunk = None if self._sent else tick()
            self._sent = False
            if chunk:
                body: Message = {"type": "http.response.body", "body": chunk, "more_body": True}
                await send(body)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; ClientGone, and `work` is cancelled, when the client leaves before."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    """Returns when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
