"""What fails is counted once: whole answers, streams, and connections without a request."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest

from pyllm.server.edge import EdgeSettings
from tests.support.edge_server import read_answer, status
from tests.support.whole_server import WholeServer, demo_settings, whole_server

ENDLESS: dict[str, Any] = {"prompt": "Once", "max_tokens": 2000, "ignore_eos": True}
ENGINE = {"num_threads": 1, "max_num_seqs": 1, "max_num_queued_requests": 1}


def rejections(server: WholeServer, reason: str) -> int:
    page = server.app.state.metrics.render().decode()
    (found,) = re.findall(
        rf'^pyllm:admission_rejections_total{{reason="{reason}"}} (\S+)$', page, re.M
    )
    return int(float(found))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/completions", "/api/generate"])
def test_an_answer_that_takes_too_long(path: str, stream: bool) -> None:
    options = {"options": {"num_predict": 2000}} if path == "/api/generate" else ENDLESS
    body = {"model": "demo", "prompt": "Once upon", "stream": stream, **options}
    with whole_server(demo_settings(request_timeout=0.05)) as server, server.client() as client:
        answer = client.post(path, json=body)
        assert answer.status_code == (200 if stream else 504)
        assert "took longer" in answer.text
        server.wait_for(lambda: rejections(server, "request_timeout"), "it was not counted")
        assert rejections(server, "request_timeout") == 1


def test_a_queue_that_is_full_for_an_embedding() -> None:
    with whole_server(demo_settings(engine=ENGINE)) as server, server.client() as client:
        held = [server.send("/v1/completions", ENDLESS) for _ in range(2)]
        server.wait_for(lambda: server.llm().stats().num_waiting == 1, "the queue is not full")
        answer = client.post("/v1/embeddings", json={"model": "demo", "input": "hi"})
        assert answer.status_code == 429
        assert rejections(server, "queue_full") == 1
        for connection in held:
            connection.close()
        server.wait_idle()


def test_a_connection_too_many() -> None:
    with whole_server(edge=EdgeSettings(max_connections=2)) as server:
        held = [server.send("/v1/completions", ENDLESS) for _ in range(2)]
        server.wait_for(lambda: server.llm().stats().num_running == 2, "they do not run")
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            answer = read_answer(connection)
        assert status(answer) == 503
        assert b'"code":"too_many_connections"' in answer
        assert rejections(server, "too_many_connections") == 1
        for connection in held:
            connection.close()
        server.wait_idle()
