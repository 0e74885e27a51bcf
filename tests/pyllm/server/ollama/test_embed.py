"""/api/embed and /api/embeddings."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest


def embed(http: httpx.Client, **body: Any) -> dict[str, Any]:
    response = http.post("/api/embed", json={"model": "demo", **body})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def openai(http: httpx.Client, text: str, **body: Any) -> list[float]:
    response = http.post("/v1/embeddings", json={"model": "demo", "input": text, **body})
    found: list[float] = response.json()["data"][0]["embedding"]
    return found


def test_one_text_and_several(http: httpx.Client) -> None:
    body = embed(http, input="Red", options={"temperature": 0}, keep_alive="5m")
    assert body["embeddings"] == [openai(http, "Red")]
    assert body["model"] == "demo"
    assert body["prompt_eval_count"] > 0
    assert body["total_duration"] > 0
    both = embed(http, input=["Red", "green"])
    assert both["embeddings"] == [openai(http, "Red"), openai(http, "green")]


def test_dimensions(http: httpx.Client) -> None:
    assert embed(http, input="Red", dimensions=5)["embeddings"] == [
        openai(http, "Red", dimensions=5)
    ]


def test_no_text_only_loads_the_model(http: httpx.Client) -> None:
    assert embed(http, input="")["embeddings"] == []
    assert embed(http, input=[])["embeddings"] == []
    assert embed(http)["embeddings"] == []


def test_a_text_beyond_the_context_is_cut(http: httpx.Client) -> None:
    text = "one two three " * 3000
    (vector,) = embed(http, input=text)["embeddings"]
    ids = http.post("/tokenize", json={"prompt": text}).json()
    most = ids["max_model_len"]
    cut = http.post("/v1/embeddings", json={"model": "demo", "input": ids["tokens"][:most]})
    assert vector == cut.json()["data"][0]["embedding"]


def test_a_text_beyond_the_context_is_refused_when_it_must_not_be_cut(http: httpx.Client) -> None:
    body = {"model": "demo", "input": "one two three " * 3000, "truncate": False}
    response = http.post("/api/embed", json=body)
    assert response.status_code == 400
    assert "context" in response.json()["error"]


def test_the_old_route_gives_one_vector_as_it_is(http: httpx.Client) -> None:
    response = http.post("/api/embeddings", json={"model": "demo", "prompt": "Red"})
    vector = response.json()["embedding"]
    assert vector == openai(http, "Red", normalize=False)
    length = np.linalg.norm(vector)
    np.testing.assert_allclose(np.array(vector) / length, openai(http, "Red"), atol=1e-6)
    empty = http.post("/api/embeddings", json={"model": "demo"})
    assert empty.json() == {"embedding": []}


@pytest.mark.parametrize(
    "body",
    [
        {"input": ["fine", ""]},
        {"input": 3},
        {"input": "x", "dimensions": 10**6},
        {"input": "x", "keep_alive": "soon"},
        {"input": "x", "surprise": 1},
        {"input": ["x"] * 2049},
    ],
)
def test_what_cannot_be_embedded_is_refused(http: httpx.Client, body: dict[str, Any]) -> None:
    response = http.post("/api/embed", json={"model": "demo", **body})
    assert response.status_code == 400
    assert response.json()["error"]
