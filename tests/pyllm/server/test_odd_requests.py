"""Requests that are strange in small ways: names, methods, versions of HTTP, refusals in a row."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.edge_server import answer_json, get, post, read_answer, status
from tests.support.request_bodies import BODIES, asking
from tests.support.whole_server import WholeServer, demo_settings, whole_server


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    with whole_server() as server:
        yield server


NAMES = (
    "../demo", "demo/..", "/etc/passwd", "/etc/nothing", "C:\\demo", "demo\0", "..", ".", " demo",
    "d" * 250, "\u202edemo", "\x1b[31mdemo", "demo\r\nx-evil: 1", "demo:other", "%64emo", "ｄemo",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_found_by_its_name_and_never_by_a_path(server: WholeServer, name: str) -> None:
    refusals: list[httpx.Response] = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for path, body in BODIES.items():
            if path == "/api/pull":
                continue
            refusals.append(client.post(path, json={**body, "model": name}))
        refusals += [
            client.get(f"/v1/models/x{quote(name, safe='')}"),
            client.get("/props", params={"model": name}),
        ]
    for refusal in refusals:
        assert refusal.status_code == 404, refusal.text
        assert "x-evil" not in refusal.headers
        assert "\x1b" not in refusal.text
    server.wait_idle()


def test_whether_a_file_exists_makes_no_difference(server: WholeServer, tmp_path: Path) -> None:
    there = tmp_path / "model.gguf"
    there.write_bytes(b"GGUF")
    texts = set()
    with httpx.Client(base_url=server.url) as client:
        for path in (there, tmp_path / "nodel.gguf"):
            body = {"model": str(path), "prompt": "a"}
            answer = client.post("/v1/completions", json=body)
            assert answer.status_code == 404
            texts.add(answer.text.replace(path.name, "-"))
    assert len(texts) == 1


PATHS = (
    "/%00", "/%0d%0ax-evil:%201", "/v1/%2e%2e/health", "/v1/..%2fhealth", "/health/",
    "/v1/models/%ff%fe", "/assets/..%2f..%2fapp.py", "/assets/%00", "/v1/responses/%00",
    "/v1//models", "/%", "/%zz", "/v1/models/" + "a" * 4096, "/?" + "a" * 4096,
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"])
def test_strange_paths_and_methods_are_refused(server: WholeServer, path: str, method: str) -> None:
    with server.client() as client:
        answer = client.request(method, path)
    assert "x-evil" not in answer.headers
    assert answer.status_code in (200, 307, 400, 404, 405)
    if answer.status_code == 200:
        assert path.startswith("/?")


def test_a_method_that_is_not_there_names_those_that_are(server: WholeServer) -> None:
    with server.client() as client:
        for path in BODIES:
            for method in ("PUT", "PATCH", "OPTIONS"):
                answer = client.request(method, path)
                assert answer.status_code == 405
                assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/api/tags", "/api/version"])
def test_whoever_knocks_with_head_is_answered_without_a_body(
    server: WholeServer, path: str
) -> None:
    with server.client() as client:
        answer = client.head(path)
        assert answer.status_code == 200
        assert answer.content == b""
        assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("stream", [False, True])
def test_http_1_0_is_answered_and_closed(server: WholeServer, stream: bool) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": 3, "stream": stream}).encode()
    request = post("/v1/completions", body).replace(b"HTTP/1.1", b"HTTP/1.0")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert status(answer) == 200
    assert b"chunked" not in answer.lower()
    assert answer.rstrip().endswith(b"data: [DONE]" if stream else b"}")


def test_a_connection_is_kept_through_refusals(server: WholeServer) -> None:
    good = post("/v1/completions", b'{"prompt": "a", "max_tokens": 1}')
    refused = [
        (404, get("/nothing")),
        (405, get("/v1/completions")),
        (400, post("/v1/completions", b"{")),
        (400, post("/v1/completions", b'{"prompt": "a", "temperature": -1}')),
        (404, post("/v1/completions", b'{"prompt": "a", "model": "other"}')),
        (415, post("/v1/completions", b"{}", "Content-Encoding: gzip")),
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        for code, request in refused:
            connection.sendall(request)
            assert status(read_answer(connection)) == code
            connection.sendall(good)
            answer = read_answer(connection)
            assert status(answer) == 200
            assert answer_json(answer)["choices"]


WRONG: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"tool_choice": {"type": "function", "function": {"name": "none"}}},
    "/v1/responses": {"tool_choice": {"type": "function", "name": "none"}},
    "/v1/responses/input_tokens": {"tool_choice": {"type": "function", "name": "none"}},
    "/v1/messages": {"tool_choice": {"type": "tool", "name": "none"}},
    "/v1/messages/count_tokens": {"tool_choice": {"type": "tool", "name": "none"}},
    "/api/chat": {"options": {"temperature": -1}},
    "/api/generate": {"options": {"temperature": -1}},
    "/tokenize": {"content": "a"},
    "/detokenize": {"tokens": [-1]},
    "/apply-template": {"chat_template_kwargs": {"x": 1}},
    "/v1/embeddings": {"input": [[-1]]},
    "/api/embed": {"dimensions": 10**9},
    "/v1/score": {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]},
}


def test_refusals_of_all_kinds_give_the_model_back() -> None:
    """It is unloaded after every one of them, which it would not be if anybody still had it."""
    with whole_server(demo_settings(keep_alive=0.0)) as server, server.client() as client:

        def unloaded() -> bool:
            return client.get("/api/ps").json()["models"] == []

        for path in BODIES:
            wrong = [{**BODIES[path], "temperature": -1}, {**BODIES[path], **WRONG.get(path, {})}]
            wrong.append(asking(path, "word " * 5000))
            for body in wrong:
                assert client.post(path, json=body).status_code in (200, 400), (path, body)
            server.wait_idle()
            server.wait_for(unloaded, f"{path} keeps the model")
        connection = server.send("/v1/completions", {"prompt": "a", "max_tokens": 2000})
        connection.close()
        server.wait_for(unloaded, "a client that left keeps the model")
        assert client.get("/ready").status_code == 200, "it is loaded when it is asked for"
