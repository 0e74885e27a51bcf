"""Routes that only look: they load nothing, and a model that is watched still goes when idle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyllm.server.settings import ModelSource
from tests.support.whole_server import WholeServer, demo_settings, whole_server

LOOKS = (
    "/props",
    "/props?model=demo",
    "/slots",
    "/slots?model=demo",
    "/v1/models",
    "/v1/models/demo",
    "/api/tags",
    "/api/ps",
    "/metrics",
    "/health",
    "/ready",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeServer]:
    """Its models are loaded when they are asked for; one cannot be read at all."""
    broken: Path = tmp_path_factory.mktemp("models") / "broken.gguf"
    broken.write_bytes(b"GGUF")
    plain = demo_settings()
    models = (*plain.models, ModelSource("broken", broken))
    engine = {**plain.engine, "max_model_len": 256}
    with whole_server(demo_settings(models=models, engine=engine, preload=False)) as server:
        yield server


def look_at_all(client: httpx.Client) -> None:
    for path in LOOKS:
        assert client.get(path).status_code == 200, path
    assert client.post("/api/show", json={"model": "demo"}).status_code == 200


def load(client: httpx.Client, keep_alive: float) -> None:
    body = {"model": "demo", "keep_alive": keep_alive}
    assert client.post("/api/generate", json=body).status_code == 200


def unload(server: WholeServer, client: httpx.Client) -> None:
    load(client, 0)
    server.wait_for(lambda: server.registry.is_absent("demo"), "it stays")


def said(client: httpx.Client) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return client.get("/props").json(), client.get("/slots").json()


def test_a_look_loads_nothing(server: WholeServer) -> None:
    with server.client() as client:
        unload(server, client)
        look_at_all(client)
        assert client.get("/ready").json()["models"] == []
        assert server.registry.is_absent("demo")


def test_a_look_does_not_keep_a_model(server: WholeServer) -> None:
    with server.client() as client:
        load(client, 60)
        (before,) = (expires_in for _, _, expires_in in server.registry.loaded())
        look_at_all(client)
        (after,) = (expires_in for _, _, expires_in in server.registry.loaded())
        assert after < before
        unload(server, client)


def test_a_model_has_the_context_that_it_was_started_with_before_and_after(
    server: WholeServer,
) -> None:
    with server.client() as client:
        unload(server, client)
        assert client.get("/v1/models/demo").json()["max_model_len"] == 256
        load(client, 60)
        assert client.get("/v1/models/demo").json()["max_model_len"] == 256
        unload(server, client)


def test_a_model_that_is_not_loaded_is_described_as_it_will_be(server: WholeServer) -> None:
    with server.client() as client:
        load(client, -1)
        props, slots = said(client)
        tokenizer = server.llm().get_tokenizer()
        assert tokenizer.bos_id is not None
        assert props["bos_token"] == tokenizer.token_bytes(tokenizer.bos_id).decode()
        unload(server, client)
        asleep, idle = said(client)
    assert (asleep.pop("is_sleeping"), props.pop("is_sleeping")) == (True, False)
    assert asleep == props
    assert idle == slots
    assert [slot["n_ctx"] for slot in idle] == [256] * 4


@pytest.mark.parametrize("path", ["/props", "/slots"])
def test_what_cannot_be_described_is_refused(server: WholeServer, path: str) -> None:
    with server.client() as client:
        unreadable = client.get(path, params={"model": "broken"})
        assert unreadable.status_code == 500
        assert unreadable.json()["error"]["code"] == "model_load_failed"
        unknown = client.get(path, params={"model": "other"})
        assert unknown.status_code == 404
        assert unknown.json()["error"]["code"] == "model_not_found"
