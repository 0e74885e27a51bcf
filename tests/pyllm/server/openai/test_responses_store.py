from __future__ import annotations

from typing import Any

import pytest

from pyllm.server.errors import ApiError
from pyllm.server.openai.responses_store import ResponseStore


def response(number: int, previous: int | None = None, text: str = "") -> dict[str, Any]:
    output = [{"type": "message", "role": "assistant", "content": f"answer {number}{text}"}]
    before = None if previous is None else f"resp_{previous}"
    return {"id": f"resp_{number}", "previous_response_id": before, "output": output}


def question(number: int) -> list[dict[str, Any]]:
    return [{"id": f"item_{number}", "role": "user", "content": f"question {number}"}]


def put(store: ResponseStore, number: int, previous: int | None = None, text: str = "") -> None:
    store.put("a", response(number, previous, text), question(number))


def missing(store: ResponseStore, tenant: str | None, number: int) -> ApiError:
    with pytest.raises(ApiError) as caught:
        store.get(tenant, f"resp_{number}")
    assert caught.value.status_code == 404
    return caught.value


def test_a_conversation_is_all_that_was_said_in_order() -> None:
    store = ResponseStore()
    put(store, 1)
    put(store, 2, previous=1)
    said = [item["content"] for item in store.conversation("a", "resp_2")]
    assert said == ["question 1", "answer 1", "question 2", "answer 2"]
    assert store.conversation("a", None) == []


def test_tenants_see_their_own_only() -> None:
    store = ResponseStore()
    put(store, 1)
    missing(store, "b", 1)
    missing(store, None, 1)
    with pytest.raises(ApiError) as caught:
        store.conversation("b", "resp_1")
    assert caught.value.param == "previous_response_id"
    with pytest.raises(ApiError):
        store.delete("b", "resp_1")
    store.get("a", "resp_1")


def test_the_longest_unused_is_forgotten_first() -> None:
    store = ResponseStore(max_responses=2)
    put(store, 1)
    put(store, 2)
    store.get("a", "resp_1")
    put(store, 3)
    missing(store, "a", 2)
    store.get("a", "resp_1")


def test_bytes_are_bounded_too() -> None:
    store = ResponseStore(max_bytes=3000)
    for number in range(9):
        put(store, number, text="x" * 800)
    put(store, 9, text="x" * 4000)  # larger than all there is room for
    for number in (0, 5, 9):
        missing(store, "a", number)
    for number in (6, 7, 8):
        store.get("a", f"resp_{number}")


def test_a_conversation_that_lost_its_beginning_cannot_go_on() -> None:
    store = ResponseStore()
    put(store, 1)
    put(store, 2, previous=1)
    store.delete("a", "resp_1")
    with pytest.raises(ApiError, match="resp_1"):
        store.conversation("a", "resp_2")
    store.get("a", "resp_2")
