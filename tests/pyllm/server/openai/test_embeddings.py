"""/v1/embeddings: the vectors of LLM.embed, in OpenAI's shape."""

from __future__ import annotations

import base64
import threading
import time
from typing import Any

import httpx
import numpy as np
import pytest

from pyllm import LLM
from pyllm.demo import demo_model


@pytest.fixture(scope="module")
def vectors() -> dict[str, list[float]]:
    """Of some texts, by LLM.embed."""
    path = demo_model()
    assert path is not None
    texts = ["One two three", "Red", "green and blue"]
    with LLM(path, num_threads=1) as llm:
        return {
            text: output.outputs.embedding  # type: ignore[misc]
            for text, output in zip(texts, llm.embed(texts), strict=True)
        }


def embed(http: httpx.Client, **body: Any) -> dict[str, Any]:
    response = http.post("/v1/embeddings", json={"model": "demo", **body})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def refused(http: httpx.Client, **body: Any) -> dict[str, Any]:
    response = http.post("/v1/embeddings", json={"model": "demo", **body})
    assert response.status_code == 400, response.text
    found: dict[str, Any] = response.json()["error"]
    return found


def test_one_text(http: httpx.Client, vectors: dict[str, list[float]]) -> None:
    body = embed(http, input="Red")
    (row,) = body["data"]
    assert (body["object"], row["object"], row["index"]) == ("list", "embedding", 0)
    assert body["model"] == "demo"
    assert row["embedding"] == vectors["Red"]
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 0


def test_many_texts_keep_their_order(http: httpx.Client, vectors: dict[str, list[float]]) -> None:
    texts = list(vectors) * 20
    rows = embed(http, input=texts)["data"]
    assert [row["index"] for row in rows] == list(range(60))
    assert [row["embedding"] for row in rows] == [vectors[text] for text in texts]


def test_token_ids_are_texts_too(http: httpx.Client, vectors: dict[str, list[float]]) -> None:
    ids = http.post("/tokenize", json={"prompt": "Red"}).json()["tokens"]
    for given in (ids, [ids]):
        assert embed(http, input=given)["data"][0]["embedding"] == vectors["Red"]


def test_base64_holds_the_same_float32(http: httpx.Client, vectors: dict[str, list[float]]) -> None:
    (row,) = embed(http, input="Red", encoding_format="base64")["data"]
    assert np.frombuffer(base64.b64decode(row["embedding"]), "<f4").tolist() == vectors["Red"]


def test_fewer_dimensions_have_length_1_again(http: httpx.Client) -> None:
    (row,) = embed(http, input="Red", dimensions=8)["data"]
    assert len(row["embedding"]) == 8
    assert np.linalg.norm(row["embedding"]) == pytest.approx(1, abs=1e-6)


def test_vectors_as_the_model_gives_them(
    http: httpx.Client, vectors: dict[str, list[float]]
) -> None:
    (row,) = embed(http, input="Red", normalize=False)["data"]
    length = np.linalg.norm(row["embedding"])
    assert length != pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(np.array(row["embedding"]) / length, vectors["Red"], atol=1e-6)


def test_embeddings_and_answers_share_the_engine(
    http: httpx.Client, vectors: dict[str, list[float]]
) -> None:
    def ask() -> None:
        body = {"model": "demo", "prompt": "One two", "temperature": 0, "max_tokens": 30}
        answers.append(http.post("/v1/completions", json=body).json()["choices"][0]["text"])

    answers: list[str] = []
    ask()
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    rows = embed(http, input=list(vectors) * 10)["data"]
    for thread in threads:
        thread.join()
    assert [row["embedding"] for row in rows[:3]] == list(vectors.values())
    assert len(set(answers)) == 1
    assert len(answers) == 4


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": ["fine", ""]}, "input"),
        ({"input": []}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": ["x"] * 2049}, "input"),
        ({"input": 3}, "input"),
        ({"input": [1, "x"]}, "input"),
        ({}, "input"),
        ({"input": [10**6]}, "input[0]"),
        ({"input": [[1, -1]]}, "input[1]"),
        ({"input": "x", "dimensions": 0}, "dimensions"),
        ({"input": "x", "dimensions": 10**6}, "dimensions"),
        ({"input": "x", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "x", "normalise": True}, "normalise"),
    ],
)
def test_what_cannot_be_embedded_is_named(
    http: httpx.Client, body: dict[str, Any], param: str
) -> None:
    assert str(refused(http, **body)["param"]).split("[[")[0].startswith(param)


def test_a_text_beyond_the_context_is_refused(http: httpx.Client) -> None:
    error = refused(http, input="one two three " * 3000)
    assert error["code"] == "context_length_exceeded"
    assert error["param"] == "input"
    assert error["prompt_tokens"] > error["max_model_len"]


def test_a_request_may_be_given_a_time(http: httpx.Client) -> None:
    body = {"model": "demo", "input": ["one two three " * 200] * 500, "timeout": 0.001}
    response = http.post("/v1/embeddings", json=body)
    assert response.status_code == 504
    assert embed(http, input="Red")["data"]


def test_a_client_that_leaves_frees_the_engine(server: str, http: httpx.Client) -> None:
    body = {"model": "demo", "input": [f"{n} one two three " * 100 for n in range(600)]}
    with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=server, timeout=0.5) as hasty:
        hasty.post("/v1/embeddings", json=body)
    began = time.monotonic()
    embed(http, input="Red")
    assert time.monotonic() - began < 30, "the texts of the client that left were read to the end"


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    response = http.post("/v1/embeddings", json={"model": "nobody", "input": "x"})
    assert response.status_code == 404
