"""Rows 17 and 18: numbers that no program expects, in every field that takes one."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.leak_check import assert_no_leak
from tests.support.request_bodies import (
    BODIES,
    OTHER_NAMES,
    changed,
    fields_of,
    posted_paths,
)
from tests.support.whole_server import WholeServer, demo_settings, whole_server

NUMBERS = [-1, 0, 2**31, 2**63, 10**99, 1e308, "1", True, None, [], {}]
# Where fields are shared with a route that gets all of them.
FEWER = [-1, 2**63, 1e308, "1"]
ALL_OF_THEM = ("/v1/chat/completions", "/v1/rerank", "/api/embed")
FILES = {"/v1/files", "/v1/batches"}  # their bodies are files, and have tests of their own
NAN = "the number NaN"  # is written without its quotes


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    engine = {"num_threads": 1, "max_num_seqs": 4, "max_model_len": 64}
    with whole_server(demo_settings(engine=engine)) as server:
        yield server


@pytest.fixture
def client(server: WholeServer) -> Iterator[Client]:
    with Client(server) as client:
        yield client


class Client:
    """One connection, kept alive through every answer."""

    def __init__(self, server: WholeServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def post(self, path: str, body: dict[str, Any]) -> int:
        text = json.dumps(body).replace(f'"{NAN}"', "NaN")
        headers = {"content-type": "application/json"}
        self._connection.request("POST", path, text, headers)
        answer = self._connection.getresponse()
        assert_no_leak(answer.status, answer.read())
        return answer.status

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_every_route_with_a_body_has_an_example(server: WholeServer) -> None:
    assert posted_paths(server.app) - FILES == {*BODIES, *OTHER_NAMES}


@pytest.mark.parametrize("path", BODIES)
def test_no_number_is_an_error_of_the_server(
    server: WholeServer, client: Client, path: str
) -> None:
    process = os.getpid()
    assert client.post(path, BODIES[path]) == (400 if path == "/infill" else 200)
    for place in fields_of(server.app, path, numbers=True):
        for number in (*(NUMBERS if path in ALL_OF_THEM else FEWER), NAN):
            status = client.post(path, changed(path, place, number))
            assert status in (200, 400), (place, number)
            assert status == 400 or number is not NAN, place
    server.wait_idle()
    assert client.post("/v1/completions", {"prompt": "a", "max_tokens": 1}) == 200
    assert os.getpid() == process


@pytest.mark.parametrize(
    ("path", "field", "number"),
    [
        ("/v1/chat/completions", "n", 2**20),
        ("/v1/chat/completions", "top_logprobs", 21),
        ("/v1/chat/completions", "max_tokens", 2**40),
        ("/v1/chat/completions", "max_completion_tokens", 2**40),
        ("/v1/completions", "n", 2**20),
        ("/v1/completions", "best_of", 2**20),
        ("/v1/completions", "logprobs", 10**6),
        ("/v1/completions", "prompt_logprobs", 10**6),
        ("/v1/completions", "max_tokens", 2**40),
        ("/v1/responses", "top_logprobs", 10**6),
        ("/v1/responses", "max_output_tokens", 2**40),
        ("/v1/messages", "max_tokens", 2**40),
        ("/api/chat", "top_logprobs", 10**6),
        ("/completion", "n_probs", 10**6),
        ("/completion", "n_predict", 2**40),
        ("/v1/rerank", "timeout", -1),
        ("/api/embed", "dimensions", 10**9),
    ],
)
def test_huge_counts_are_refused_before_anything_is_computed(
    server: WholeServer, client: Client, path: str, field: str, number: int
) -> None:
    before = server.llm().stats().num_steps
    assert client.post(path, {**BODIES[path], field: number}) == 400
    assert server.llm().stats().num_steps == before
    assert server.is_idle()


def test_a_prompt_times_n_is_bounded(client: Client) -> None:
    body = {"prompt": ["a"] * 256, "n": 128}
    assert client.post("/v1/completions", body) == 400


@pytest.mark.parametrize("path", BODIES)
def test_structures_with_unknown_parts_are_refused(
    server: WholeServer, client: Client, path: str
) -> None:
    for place in fields_of(server.app, path):
        if place[-1] in ("structured_outputs", "guided_json", "json_schema", "format", "text"):
            for value in ({"a": 1}, {"self": 1, "json": {}}, {"type": "object", "self": []}):
                status = client.post(path, changed(path, place, value))
                assert status in (200, 400), (place, value)
    server.wait_idle()
