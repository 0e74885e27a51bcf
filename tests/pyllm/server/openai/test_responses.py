from __future__ import annotations

import json
from typing import Any

import httpx

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
QUESTION = "What is the weather in Paris?"


def create(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    body = {"temperature": 0, "tools": [WEATHER], **fields}
    answer = http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def cut_in_a_call(http: httpx.Client) -> dict[str, Any]:
    for most in range(1, 64):
        response = create(http, input=QUESTION, max_output_tokens=most)
        if response["output"] and response["output"][-1]["type"] == "function_call":
            return response
    raise AssertionError("the model calls nothing")


def test_a_response_that_ended_inside_a_call_can_be_continued(http: httpx.Client) -> None:
    cut = cut_in_a_call(http)
    call = cut["output"][-1]
    assert (cut["status"], call["status"]) == ("incomplete", "incomplete")
    more = create(http, previous_response_id=cut["id"], input=[])
    called = more["output"][-1]
    assert called["status"] == "completed"
    assert json.loads(called["arguments"]) == {"city": "Paris"}
    sent_back = [{"role": "user", "content": QUESTION}, *cut["output"]]
    assert create(http, input=sent_back)["output"][-1]["arguments"] == called["arguments"]


def test_an_output_of_a_call_that_was_cut_off_is_refused(http: httpx.Client) -> None:
    cut = cut_in_a_call(http)
    call_id = cut["output"][-1]["call_id"]
    output = {"type": "function_call_output", "call_id": call_id, "output": "sunny"}
    body = {"previous_response_id": cut["id"], "input": [output], "tools": [WEATHER]}
    answer = http.post("/v1/responses", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "input[0].call_id"
    assert "max_output_tokens" in error["message"]
