from __future__ import annotations

from typing import Any

import pytest

from pyllm.server.errors import ApiError
from pyllm.server.openai.responses_store import ResponseStore, StoredResponse
from pyllm.server.streams import to_json


def response(number: int, previous: int | None = None, text: str = "") -> dict[str, Any]:
    part = {"type": "output_text", "text": f"answer {number}{text}", "logprobs": [{"token": "a"}]}
    output = [{"type": "message", "role": "assistant", "content": [part]}]
    before = None if previous is None else f"resp_{previous}"
    return {"id": f"resp_{number}", "previous_response_id": before, "output": output}


def question(number: int) -> list[dict[str, Any]]:
    part = {"type": "input_text", "text": f"question {number}"}
    return [{"id": f"item_{number}", "type": "message", "role": "user", "content": [part]}]


def put(store: ResponseStore, number: int, previous: int | None = None, text: str = "") -> None:
    store.put("a", StoredResponse.of(response(number, previous, text), question(number)))


def missing(store: ResponseStore, tenant: str | None, number: int) -> ApiError:
    with pytest.raises(ApiError) as caught:
        store.get(tenant, f"resp_{number}")
    assert caught.value.status_code == 404
    return caught.value


def test_a_conversation_is_all_that_was_said_in_order() -> None:
    store = ResponseStore()
    put(store, 1)
    put(store, 2, previous=1)
    items = store.conversation("a", "resp_2").items()
    said = [part["text"] for item in items for part in item["content"]]
    assert said == ["question 1", "answer 1", "question 2", "answer 2"]
    assert store.conversation("a", None).items() == []


def test_log_probabilities_are_shown_but_not_said_again() -> None:
    store = ResponseStore()
    put(store, 1)
    assert store.get("a", "resp_1").response == to_json(response(1))
    _, answer = store.conversation("a", "resp_1").items()
    assert answer["content"][0]["logprobs"] == []


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
    store = ResponseStore(max_bytes=6500)
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
