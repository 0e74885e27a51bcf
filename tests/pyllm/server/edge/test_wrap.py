"""The edge as a whole."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

import pyllm.server.edge
from pyllm.server.dialects import edge_refusal
from pyllm.server.edge import Draining, EdgeSettings, wrap
from pyllm.server.edge.asgi import Message, Scope
from tests.support.asgi_calls import call, make_scope, ok_app


async def pass_through(scope: Scope, receive, send) -> None:
    await send({"type": "reached", "scope": scope})


def sent_for(scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    edge = wrap(pass_through, EdgeSettings(api_keys=("secret",)), Draining(1.0), edge_refusal)
    asyncio.run(edge(scope, receive, send))
    return sent


def test_lifespan_goes_straight_to_the_application() -> None:
    scope = {"type": "lifespan"}
    assert sent_for(scope) == [{"type": "reached", "scope": scope}]


def test_a_websocket_is_closed() -> None:
    assert sent_for({"type": "websocket"}) == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        (make_scope(headers={"host": "evil.com", "origin": "null"}), "host_not_allowed"),
        (make_scope(headers={"origin": "null"}), "origin_not_allowed"),
        (make_scope(query="key=secret"), "key_in_query"),
        (make_scope(headers={"content-encoding": "gzip"}), "invalid_api_key"),
        (make_scope(headers={"content-encoding": "gzip", "x-api-key": "secret"}), "shutting_down"),
    ],
)
def test_the_first_check_that_fails_answers(scope: Scope, code: str) -> None:
    draining = Draining(1.0)
    draining.begin()
    edge = wrap(ok_app, EdgeSettings(api_keys=("secret",)), draining, edge_refusal)
    assert call(edge, scope).json()["error"]["code"] == code


def test_a_renderer_of_the_application_is_used() -> None:
    edge = wrap(
        ok_app,
        EdgeSettings(api_keys=("secret",)),
        Draining(1.0),
        lambda path, refusal: f'["{path}", "{refusal.code}"]'.encode(),
    )
    assert call(edge, make_scope(path="/x")).json() == ["/x", "invalid_api_key"]


def test_the_edge_depends_on_no_framework() -> None:
    folder = Path(pyllm.server.edge.__file__).parent
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] not in ("fastapi", "starlette", "pydantic"), file
