"""Rows 29 and 30: what one key has asked is nothing that another can find out.

Counts prove it, where measured times could only suggest it: a prefix of another key is never found
in the cache, so there is nothing that could be faster. That equal hashes are not taken for equal
tokens is shown on the cache itself, in test_prefix_cache.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pyllm.server.edge import EdgeSettings
from tests.support.request_bodies import asking
from tests.support.whole_server import WholeServer, whole_server

KEYS = ("first-key", "second-key")
GENERATING = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/api/chat",
    "/api/generate", "/completion",
)  # fmt: skip
READING = ("/v1/embeddings", "/api/embed", "/api/embeddings", "/v1/score", "/v1/rerank")


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    with whole_server(edge=EdgeSettings(api_keys=KEYS)) as server:
        yield server


def num_cached(server: WholeServer, key: str, path: str, body: dict[str, Any]) -> int:
    """Tokens of this request's prompt that were found in the prefix cache."""
    before = server.llm().stats().num_cached_tokens
    with server.client(headers={"authorization": f"Bearer {key}"}) as client:
        assert client.post(path, json=body).status_code == 200
    server.wait_idle()
    return server.llm().stats().num_cached_tokens - before


@pytest.mark.parametrize("path", [*GENERATING, *READING])
def test_a_key_finds_its_own_prefixes_only(server: WholeServer, path: str) -> None:
    body = asking(path, f"{path}: " + "stone river cloud " * 40)
    assert num_cached(server, KEYS[0], path, body) == 0
    if path in GENERATING:
        assert num_cached(server, KEYS[0], path, body) > 40
    assert num_cached(server, KEYS[1], path, body) == 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/completion"])
def test_no_salt_opens_the_prefixes_of_another_key(server: WholeServer, path: str) -> None:
    body = asking(path, f"salt, {path}: " + "stone river cloud " * 40)
    salted = {**body, "cache_salt": "a"}
    assert num_cached(server, KEYS[0], path, salted) == 0
    assert num_cached(server, KEYS[0], path, body) == 0
    assert num_cached(server, KEYS[0], path, salted) > 40
    for salt in ("a", "", "-:a"):
        other = {**body, "cache_salt": salt} if salt else body
        assert num_cached(server, KEYS[1], path, other) == 0


def test_kept_responses_belong_to_their_key(server: WholeServer) -> None:
    first, second = (server.client(headers={"authorization": f"Bearer {key}"}) for key in KEYS)
    with first, second:
        body = {"input": "hi", "max_output_tokens": 16}
        name = first.post("/v1/responses", json=body).json()["id"]
        assert first.get(f"/v1/responses/{name}").status_code == 200
        assert second.get(f"/v1/responses/{name}").status_code == 404
        assert second.get(f"/v1/responses/{name}/input_items").status_code == 404
        assert second.delete(f"/v1/responses/{name}").status_code == 404
        follow = {**body, "previous_response_id": name}
        assert second.post("/v1/responses", json=follow).status_code == 404
        assert first.post("/v1/responses", json=follow).status_code == 200
