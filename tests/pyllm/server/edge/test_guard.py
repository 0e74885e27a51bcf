"""Row 27: no path, no address and no traceback leaves the server."""

from __future__ import annotations

import json
import logging

import pytest

from pyllm.server.dialects import edge_refusal
from pyllm.server.edge.draining import Draining
from pyllm.server.edge.guard import Guard
from pyllm.server.edge.leaks import find_leak
from pyllm.server.edge.settings import EdgeSettings
from pyllm.server.edge.wrap import wrap
from tests.support.asgi_calls import Answer, call, make_scope
from tests.support.edge_server import SmallApp, answer

LEAKS = [
    "object at 0x7f0012345678", "0xDEADBEEF", "/home/someone/model.gguf", "in '/usr/lib/python3'",
    "cannot open /tmp/x", "~/models no, but /root/.cache is", 'File "app.py", line 3',
    "Traceback (most recent call last):", "C:\\Users\\me", "lib/site-packages/x", "/proc/self/maps",
]  # fmt: skip
CLEAN = [
    "", "use /v1/chat/completions", "https://example.com/home/page", "http://127.0.0.1:8000/docs",
    "0x1F is too short", "/api/tags", "temperature: -1: must be at least 0", "a/b/c", "and/or",
    "req-0123456789abcdef", "text/html", "application/json",
]  # fmt: skip


@pytest.mark.parametrize("text", LEAKS)
def test_leaks_are_found(text: str) -> None:
    assert find_leak(text)
    assert find_leak(json.dumps({"error": text})) or '\\"' in json.dumps(text)


@pytest.mark.parametrize("text", CLEAN)
def test_what_clients_know_is_no_leak(text: str) -> None:
    assert find_leak(text) is None


def ask(path: str, **headers: str) -> Answer:
    scope = make_scope(path=path, headers={key.replace("_", "-"): v for key, v in headers.items()})
    return call(wrap(SmallApp(), EdgeSettings(), Draining(1.0), edge_refusal), scope)


def test_an_unexpected_exception_becomes_a_bare_500(caplog: pytest.LogCaptureFixture) -> None:
    found = ask("/fail/early")
    assert found.status == 500
    assert find_leak(found.body.decode()) is None
    request_id = found.headers["x-request-id"]
    assert found.headers["request-id"] == request_id
    assert request_id in found.json()["error"]["message"]
    assert request_id in caplog.text
    assert "/home/someone/model.gguf" in caplog.text, "the log has the reason"


def test_a_server_error_that_tells_too_much_is_withheld(caplog: pytest.LogCaptureFixture) -> None:
    found = ask("/fail/told")
    assert found.status == 503
    assert find_leak(found.body.decode()) is None
    assert found.headers["x-request-id"] in caplog.text


def test_a_server_error_that_tells_nothing_passes() -> None:
    async def loading(scope, receive, send):
        await answer(send, 503, {"error": "the model is being loaded"})

    found = call(Guard(loading, edge_refusal), make_scope())
    assert (found.status, found.json()) == (503, {"error": "the model is being loaded"})


def test_a_server_error_in_parts_is_read_as_a_whole() -> None:
    async def in_parts(scope, receive, send):
        await send({"type": "http.response.start", "status": 500, "headers": []})
        for part in (b"cannot open /ho", b"me/someone"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    found = call(Guard(in_parts, edge_refusal), make_scope())
    assert find_leak(found.body.decode()) is None
    assert found.json()["error"]["code"] == "internal_error"


def test_an_endless_server_error_is_withheld() -> None:
    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 500, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    assert len(call(Guard(endless, edge_refusal), make_scope()).body) < 1000


def test_an_answer_that_breaks_off_is_not_completed(caplog: pytest.LogCaptureFixture) -> None:
    found = ask("/fail/late")
    assert (found.status, found.body) == (200, b"begun")
    assert "too late to say" in caplog.text


def test_a_plain_request_id_is_kept() -> None:
    assert ask("/state", x_request_id="trace-1.a_B").json()["id"] == "trace-1.a_B"
    for hostile in ("two words", "new\x0bline", "x" * 65, "", "é"):
        assert ask("/state", x_request_id=hostile).json()["id"].startswith("req-")


def test_every_answer_says_that_its_type_is_meant() -> None:
    for path in ("/state", "/fail/early", "/no/such"):
        assert ask(path).headers["x-content-type-options"] == "nosniff"


def test_every_refusal_of_the_edge_is_clean(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    hostile = {"origin": "file:///home/me", "x-api-key": "/home/me", "host": "0x7f0012345678"}
    for settings in (EdgeSettings(), EdgeSettings(api_keys=("secret",))):
        app = wrap(SmallApp(), settings, Draining(1.0), edge_refusal)
        for name, value in [*hostile.items(), ("content-encoding", "/tmp/x")]:
            found = call(app, make_scope("POST", "/json", {name: value, "content-length": "1"}))
            assert 400 <= found.status < 500
            assert find_leak(found.body.decode()) is None


def test_refusals_speak_the_dialect_of_their_path() -> None:
    app = wrap(SmallApp(), EdgeSettings(api_keys=("secret",)), Draining(1.0), edge_refusal)
    assert isinstance(call(app, make_scope(path="/api/tags")).json()["error"], str)
    found = call(app, make_scope(path="/v1/messages")).json()
    assert found["type"] == "error"
    assert found["error"]["type"] == "authentication_error"
