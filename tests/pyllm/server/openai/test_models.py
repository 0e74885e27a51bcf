from __future__ import annotations

import httpx


def test_models_are_listed_with_their_aliases(http: httpx.Client) -> None:
    body = http.get("/v1/models").json()
    assert body["object"] == "list"
    (entry,) = body["data"]
    assert (entry["id"], entry["aliases"]) == ("demo", ["gpt-4o-mini"])
    assert entry["meta"]["architecture"] == "llama"


def test_one_model_by_any_of_its_names(http: httpx.Client) -> None:
    for name in ("demo", "gpt-4o-mini", "demo:latest"):
        assert http.get(f"/v1/models/{name}").json()["id"] == "demo"
    response = http.get("/v1/models/other")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
