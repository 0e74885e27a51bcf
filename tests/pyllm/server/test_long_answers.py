"""What grows with the request is read and written beside the event loop, whatever the dialect."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pyllm.server import long_json as module
from pyllm.server.streams import to_json
from tests.support.whole_server import WholeServer, demo_settings, whole_server

TEXT = {"prompt": "Once", "max_tokens": 100, "ignore_eos": True}
CHAT = {"messages": [{"role": "user", "content": "Tell me a story."}]}
OLLAMA = {"model": "demo", "options": {"num_predict": 100}, "stream": False, "logprobs": True}
LONG: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        **CHAT, "max_tokens": 100, "ignore_eos": True, "logprobs": True, "top_logprobs": 20
    },
    "/v1/completions": {**TEXT, "logprobs": 20, "n": 2},
    "/v1/responses": {"input": "Tell me a story.", "top_logprobs": 20},
    "/completion": {"prompt": "Once", "n_predict": 100, "ignore_eos": True, "n_probs": 20},
    "/api/chat": {**OLLAMA, **CHAT, "top_logprobs": 20},
    "/api/generate": {**OLLAMA, "prompt": "Tell me a story.", "top_logprobs": 20},
    "/v1/rerank": {"query": "a", "documents": ["b " * 200] * 300},
    "/tokenize": {"content": "word " * 20_000, "with_pieces": True},
}  # fmt: skip


class Threads:
    """Those that wrote long JSON."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[int] = set()
        monkeypatch.setattr(module, "to_json", self._step)

    def _step(self, value: Any) -> bytes:
        self.seen.add(threading.get_ident())
        return to_json(value)


@pytest.fixture(scope="module")
def server() -> Iterator[WholeServer]:
    with whole_server(demo_settings()) as server:
        yield server


def loop_thread(server: WholeServer) -> int:
    found: list[int] = []
    server.loop.call_soon_threadsafe(lambda: found.append(threading.get_ident()))
    server.wait_for(lambda: found, "the loop stands")
    return found[0]


@pytest.mark.parametrize("path", LONG)
def test_a_long_answer_is_written_beside_the_loop(
    server: WholeServer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = Threads(monkeypatch)
    with server.client() as client:
        answer = client.post(path, json=LONG[path])
    assert answer.status_code == 200, answer.text
    assert len(answer.content) > 64 * 1024
    assert threads.seen
    assert loop_thread(server) not in threads.seen
    assert answer.content == to_json(answer.json())
    server.wait_idle()


def test_a_long_stream_is_written_beside_the_loop(
    server: WholeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = Threads(monkeypatch)
    body = {**LONG["/v1/responses"], "stream": True}
    echo = {**TEXT, "prompt": "word " * 300, "echo": True, "logprobs": 20}
    with server.client() as client:
        assert client.post("/v1/responses", json=body).text.count("response.completed") == 2
        assert client.post("/v1/completions", json={**echo, "stream": True}).status_code == 200
    assert threads.seen
    assert loop_thread(server) not in threads.seen


def test_a_long_conversation_goes_on_as_a_short_one(server: WholeServer) -> None:
    with server.client() as client:
        first = answered(client, input="What is 3 + 4?", top_logprobs=20)
        foreign = {"type": "reasoning", "encrypted_content": "g" * 100_000}  # the model reads none
        said = [foreign, {"role": "user", "content": "What is 4 + 5?"}]
        long = answered(client, previous_response_id=first["id"], input=said)
        more = answered(client, previous_response_id=long["id"], input="What is 3 + 4?")
        assert more["status"] == "completed"
        items = client.get(f"/v1/responses/{more['id']}/input_items", params={"order": "asc"})
        roles = [item.get("role") for item in items.json()["data"]]
        assert roles == ["user", "assistant", None, "user", "assistant", "user"]
        kept = client.get(f"/v1/responses/{first['id']}").json()
        assert kept["output"][0]["content"][0]["logprobs"]


def answered(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/responses", json={"temperature": 0, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
