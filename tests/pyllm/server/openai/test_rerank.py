"""/v1/rerank and /v1/score, by a model that ranks and by one that embeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pyllm import LLM
from pyllm.server.app import create_app
from pyllm.server.settings import ModelSource, ServerSettings
from tests.support.live_server import serving
from tests.support.reference_models import write_copy

HEAD = {"cls.output.weight": np.random.default_rng(4).standard_normal((2, 64)).astype(np.float32)}
TEMPLATE = "Q: {query} D: {document}</s>"
RANK = {"qwen3.pooling_type": 4, "tokenizer.chat_template.rerank": TEMPLATE}
NONE = {"qwen3.pooling_type": 0}
DOCUMENTS = ["tea", "the sea", "a tree", "tea"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "embeds": write_copy("qwen3", folder / "embeds.gguf"),
        "ranks": write_copy("qwen3", folder / "ranks.gguf", extra=HEAD, added=RANK),
        "tokens": write_copy("qwen3", folder / "tokens.gguf", added=NONE),
        "silent": write_copy(
            "qwen3", folder / "silent.gguf", extra=HEAD, added={"qwen3.pooling_type": 4}
        ),
    }


@pytest.fixture(scope="module")
def client(files: dict[str, Path]) -> Iterator[httpx.Client]:
    sources = tuple(ModelSource(name, path) for name, path in files.items())
    settings = ServerSettings(models=sources, engine={"num_threads": 1})
    with (
        serving(create_app(settings)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


def scores(files: dict[str, Path], model: str) -> list[float]:
    with LLM(files[model], num_threads=1) as llm:
        return [output.outputs.score for output in llm.score("what to drink", DOCUMENTS)]


def post(client: httpx.Client, path: str, model: str, status: int = 200, **body: Any) -> Any:
    response = client.post(path, json={"model": model, **body})
    assert response.status_code == status, response.text
    return response.json() if status == 200 else response.json()["error"]


@pytest.mark.parametrize("model", ["embeds", "ranks"])
@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank", "/v1/reranking"])
def test_documents_come_best_first(
    client: httpx.Client, files: dict[str, Path], model: str, path: str
) -> None:
    body = post(client, path, model, query="what to drink", documents=DOCUMENTS)
    found = {result["index"]: result["relevance_score"] for result in body["results"]}
    assert [found[index] for index in range(4)] == scores(files, model)
    order = [result["index"] for result in body["results"]]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert order.index(0) < order.index(3), "equal documents stay in their order"
    assert [result["document"]["text"] for result in body["results"]] == [
        DOCUMENTS[index] for index in order
    ]
    assert body["model"] == model
    assert body["usage"]["total_tokens"] > 0


def test_only_the_best_without_their_texts(client: httpx.Client) -> None:
    asked = {"query": "what to drink", "documents": [{"text": text} for text in DOCUMENTS]}
    body = post(client, "/v1/rerank", "ranks", **asked)
    best = post(client, "/v1/rerank", "ranks", **asked, top_n=2, return_documents=False)
    assert [r["index"] for r in best["results"]] == [r["index"] for r in body["results"][:2]]
    assert all("document" not in result for result in best["results"])
    assert len(post(client, "/v1/rerank", "ranks", **asked, top_n=99)["results"]) == 4


@pytest.mark.parametrize("model", ["embeds", "ranks"])
@pytest.mark.parametrize("path", ["/v1/score", "/score"])
def test_scores_keep_the_order_of_the_texts(
    client: httpx.Client, files: dict[str, Path], model: str, path: str
) -> None:
    body = post(client, path, model, text_1="what to drink", text_2=DOCUMENTS)
    assert [row["score"] for row in body["data"]] == scores(files, model)
    assert [row["index"] for row in body["data"]] == [0, 1, 2, 3]
    pairs = post(client, path, model, text_1=["what to drink"] * 4, text_2=DOCUMENTS)
    assert pairs["data"] == body["data"]


@pytest.mark.parametrize("model", ["embeds", "ranks"])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": "", "documents": ["x"]}, "query"),
        ({"query": "x", "documents": ["x", ""]}, "documents[1]"),
        ({"query": "x", "documents": []}, "documents"),
        ({"query": "x", "documents": ["x" * 600]}, "documents"),
        ({"query": "x", "documents": ["x"] * 2049}, "documents"),
        ({"query": "x", "documents": [{"image": "x"}]}, "documents[0]"),
        ({"query": "x", "documents": ["x"], "top_n": -1}, "top_n"),
        ({"documents": ["x"]}, "query"),
    ],
)
def test_what_cannot_be_ranked_is_named(
    client: httpx.Client, model: str, body: dict[str, Any], param: str
) -> None:
    assert str(post(client, "/v1/rerank", model, 400, **body)["param"]).startswith(param)


def test_texts_without_partners_are_refused(client: httpx.Client) -> None:
    error = post(client, "/v1/score", "embeds", 400, text_1=["a", "b"], text_2=["c"])
    assert error["param"] == "text_1"


def test_a_model_that_does_not_say_how_it_is_asked(client: httpx.Client) -> None:
    error = post(client, "/v1/rerank", "silent", 422, query="x", documents=["y"])
    assert "rerank" in error["message"]


def test_models_that_give_no_vector_for_a_text(client: httpx.Client) -> None:
    error = post(client, "/v1/embeddings", "ranks", 400, input="x")
    assert error["param"] == "model"
    assert "gives scores" in error["message"]
    for path, body in (
        ("/v1/embeddings", {"input": "x"}),
        ("/v1/rerank", {"query": "x", "documents": ["y"]}),
    ):
        error = post(client, path, "tokens", 400, **body)
        assert error["param"] == "model"
        assert "vector for each token" in error["message"]
