from __future__ import annotations

import httpx


def test_what_clients_ask_before_they_begin(http: httpx.Client) -> None:
    props = http.get("/props").json()
    assert props["default_generation_settings"]["n_ctx"] > 100
    assert props["total_slots"] == 4
    assert props["chat_template"]
    slots = http.get("/slots").json()
    assert len(slots) == 4
    assert not any(slot["is_processing"] for slot in slots)


def test_health_and_readiness(http: httpx.Client) -> None:
    assert http.get("/health").json() == {"status": "ok"}
    assert http.get("/ready").status_code == 200
    assert http.get("/version").json()["version"]
