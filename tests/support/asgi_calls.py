"""Calls an ASGI application without a server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from pyllm.server.edge.asgi import App, Message, Scope
from tests.support.leak_check import assert_no_leak


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def make_scope(
    method: str = "GET",
    path: str = "/",
    headers: dict[str, str] | None = None,
    query: str = "",
    *,
    server: tuple[str, int | None] = ("127.0.0.1", 8000),
    scheme: str = "http",
) -> Scope:
    given = {"host": "127.0.0.1:8000", **(headers or {})}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 50000),
        "server": server,
    }


def call(app: App, scope: Scope, body: bytes = b"") -> Answer:
    """One request from beginning to end."""
    return asyncio.run(acall(app, scope, body))


async def acall(app: App, scope: Scope, body: bytes = b"") -> Answer:
    sent: list[Message] = []
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    assert_no_leak(sent[0]["status"], content)
    return Answer(sent[0]["status"], headers, content)


async def ok_app(scope: Scope, receive: Any, send: Any) -> None:
    """Answers everything with 200 and what the edge put into the state."""
    body = json.dumps({"state": scope.get("state", {})}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
