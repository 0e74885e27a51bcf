"""Rows 31 and 32: clients that leave at any moment, and one that hardly reads."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from pyllm.server.edge import EdgeSettings
from tests.support.edge_server import post
from tests.support.request_bodies import BODIES, asking
from tests.support.whole_server import WholeServer, demo_settings, whole_server

NEIGHBOUR: dict[str, Any] = {
    "prompt": "Once upon a time",
    "max_tokens": 300,
    "ignore_eos": True,
    "seed": 7,
}
PROMPT_TOKENS = 1500
numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    """It computes two answers at a time, and reads prompts in small pieces."""
    engine = {"num_threads": 1, "max_num_seqs": 2, "max_num_batched_tokens": 32}
    with whole_server(
        demo_settings(engine=engine), EdgeSettings(unsent_s=1.0), send_buffer=16_384
    ) as server:
        yield server


def cancelled(server: WholeServer, phase: str) -> int:
    return dict(server.llm().stats().num_cancelled).get(phase, 0)


def neighbour(server: WholeServer) -> str:
    answer = httpx.post(f"{server.url}/v1/completions", json=NEIGHBOUR, timeout=60)
    return str(answer.json()["choices"][0]["text"])


def endless(path: str, stream: bool, prompt: str) -> dict[str, Any]:
    """A request that would run to the end of the context."""
    body = {**asking(path, prompt), "stream": stream}
    for name in ("max_tokens", "n_predict", "max_output_tokens"):
        body.pop(name, None)
    if path == "/v1/messages":
        body["max_tokens"] = 10**6
    if path.startswith("/api"):
        body["options"] = {}
    return body


GENERATING = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/api/chat",
    "/api/generate", "/completion",
)  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", GENERATING)
def test_a_client_that_leaves_while_its_prompt_is_read(
    server: WholeServer, path: str, stream: bool
) -> None:
    before = cancelled(server, "prefill")
    for _ in range(20):  # now and then the prompt is read before the client has left
        prompt = f"{next(numbers)} " + "word " * (PROMPT_TOKENS // 2)
        connection = server.send(path, endless(path, stream, prompt))
        server.wait_for(lambda: server.llm().stats().num_running, "it does not run")
        connection.close()
        server.wait_idle()
        if cancelled(server, "prefill") > before:
            return
    pytest.fail("every prompt was read to its end")


@pytest.mark.parametrize("stream", [False, True])
def test_clients_that_leave_the_queue_and_the_batch_leave_no_trace(
    server: WholeServer, stream: bool
) -> None:
    alone = neighbour(server)
    queue, decode = cancelled(server, "queue"), cancelled(server, "decode")
    body = {"prompt": "Once", "max_tokens": 2000, "ignore_eos": True, "stream": stream}
    with ThreadPoolExecutor(1) as pool:
        first, second = (server.send("/v1/completions", body) for _ in range(2))
        server.wait_for(lambda: server.llm().stats().num_running == 2, "they do not run")
        third = server.send("/v1/completions", body)
        server.wait_for(lambda: server.llm().stats().num_waiting == 1, "it does not wait")
        beside = pool.submit(neighbour, server)
        server.wait_for(lambda: server.llm().stats().num_waiting == 2, "nor does this")
        third.close()
        server.wait_for(lambda: cancelled(server, "queue") == queue + 1, "it waits for nobody")
        first.close()
        server.wait_for(lambda: cancelled(server, "decode") == decode + 1, "it runs for nobody")
        assert beside.result() == alone
        second.close()
    server.wait_idle()


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/rerank", "/v1/score", "/api/embed"])
def test_a_client_that_leaves_while_its_texts_are_read(server: WholeServer, path: str) -> None:
    body = dict(BODIES[path])
    texts = [f"{next(numbers)} " + "word " * 200 for _ in range(100)]
    field = next(name for name in ("input", "documents", "text_2") if name in body)
    connection = server.send(path, {**body, field: texts})
    server.wait_for(lambda: server.llm().stats().num_running, "it does not run")
    connection.close()
    server.wait_idle()


def test_a_client_that_hardly_reads_is_dropped_and_holds_little(
    server: WholeServer, caplog: pytest.LogCaptureFixture
) -> None:
    alone = neighbour(server)
    body = {"prompt": "Once", "max_tokens": 1900, "ignore_eos": True, "stream": True}
    body |= {"logprobs": 20, "return_token_ids": True}
    with ThreadPoolExecutor(1) as pool, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(post("/v1/completions", json.dumps(body).encode()))
        assert connection.recv(1) == b"H"
        beside = pool.submit(neighbour, server)
        most, received = 0, b""
        with contextlib.suppress(ConnectionResetError):
            while not beside.done() or not server.is_idle():
                most = max(most, *buffered(server))
                received += connection.recv(1)
                time.sleep(0.01)
            while part := connection.recv(65536):
                received += part
        assert beside.result() == alone
    assert b"[DONE]" not in received, "all of it was taken: the buffers are too large"
    assert 0 < most < 256 * 1024
    server.wait_idle()
    assert not caplog.records, "it is nothing that a log should have"


def buffered(server: WholeServer) -> list[int]:
    connections = list(server.uvicorn.server_state.connections)
    return [0, *(connection.transport.get_write_buffer_size() for connection in connections)]
