from __future__ import annotations

import httpx


def test_models_are_listed_and_shown(http: httpx.Client) -> None:
    (model,) = http.get("/api/tags").json()["models"]
    assert model["name"] == model["model"] == "demo:latest"
    assert len(model["digest"]) == 64
    assert model["details"]["format"] == "gguf"
    shown = http.post("/api/show", json={"model": "demo"}).json()
    assert shown["details"] == model["details"]
    assert shown["model_info"]["general.architecture"] == "llama"
    assert "completion" in shown["capabilities"]
    assert "tools" in shown["capabilities"]
    older = http.post("/api/show", json={"name": "demo"})
    assert older.json()["details"] == model["details"]


def test_models_are_not_changed_over_http(http: httpx.Client) -> None:
    pulled = http.post("/api/pull", json={"model": "demo"})
    assert pulled.json() == {"status": "success"}
    for method, path in (("POST", "/api/pull"), ("POST", "/api/create"), ("DELETE", "/api/delete")):
        response = http.request(method, path, json={"model": "other"})
        assert response.status_code == 501
        assert "does not change them" in response.json()["error"]
