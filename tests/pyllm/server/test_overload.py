"""Row 33: ten times as many requests as can be served. Row 36: the end, with all routes at work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.edge_server import read_answer, status
from tests.support.request_bodies import asking
from tests.support.whole_server import WholeServer, demo_settings, whole_server

ENGINE = {"num_threads": 1, "max_num_seqs": 2, "max_num_queued_requests": 4}
BODY: dict[str, Any] = {"prompt": "Once upon a time", "max_tokens": 40, "ignore_eos": True}
PATHS = ("/v1/completions", "/v1/chat/completions", "/v1/messages", "/api/generate")


def ask(server: WholeServer) -> httpx.Response:
    with server.client() as client:
        return client.post("/v1/completions", json={**BODY, "temperature": 0})


def test_whoever_is_refused_is_told_when_and_whoever_is_not_is_served() -> None:
    with whole_server(demo_settings(engine=ENGINE)) as server:
        alone = ask(server).json()["choices"]
        endless = {"prompt": "Once", "max_tokens": 1500, "ignore_eos": True}
        full = [server.send("/v1/completions", endless) for _ in range(6)]
        server.wait_for(lambda: server.llm().stats().num_waiting == 4, "the queue is not full")
        with ThreadPoolExecutor(20) as pool:
            refused = list(pool.map(lambda _: ask(server), range(60)))
        assert {answer.status_code for answer in refused} == {429}
        for answer in refused:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["code"] == "queue_full"
        for path in PATHS:
            assert refusal_of(server, path) == 429
        assert server.llm().stats().num_waiting == 4
        for connection in full:
            connection.close()
        server.wait_idle()
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: ask(server), range(60)))
        served = [answer for answer in answers if answer.status_code == 200]
        assert {answer.status_code for answer in answers} <= {200, 429}
        assert len(served) >= 6
        assert all(answer.json()["choices"] == alone for answer in served)
        server.wait_idle()


def refusal_of(server: WholeServer, path: str) -> int:
    with server.client() as client:
        answer = client.post(path, json={**asking(path, "hi"), "stream": True})
        assert int(answer.headers["retry-after"]) >= 1
        return answer.status_code


CHAT = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/chat/completions", CHAT),
        ("/v1/messages", {**CHAT, "max_tokens": 9}),
        ("/v1/responses", {"input": "hi"}),
        ("/api/chat", CHAT),
        ("/api/generate", {"prompt": "hi"}),
        ("/completion", {"prompt": "hi"}),
    ],
)
def test_the_end_is_an_event_of_every_stream(path: str, body: dict[str, Any]) -> None:
    body = {"model": "demo", **body, "stream": True}
    with whole_server(demo_settings(engine=ENGINE)) as server:
        endless = {"prompt": "Once", "max_tokens": 2000, "ignore_eos": True, "n": 2}
        others = [server.send("/v1/completions", endless) for _ in range(2)]
        server.wait_for(lambda: server.draining.num_in_flight == 2, "they were not taken")
        server.wait_for(lambda: server.llm().stats().num_running == 2, "they do not run")
        with server.client() as client, client.stream("POST", path, json=body) as stream:
            assert stream.status_code == 200, stream.read()
            if server.draining.num_in_flight != 3:
                raise AssertionError(stream.read())
            server.loop.call_soon_threadsafe(server.draining.cut)
            assert "shutting down" in stream.read().decode()
        for connection in others:
            assert status(read_answer(connection)) == 503
            connection.close()
        server.wait_idle()
