from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

SUM = [{"role": "user", "content": "What is 3 + 4?"}]


def lines(response: httpx.Response) -> list[Any]:
    return [json.loads(line) for line in response.iter_lines() if line]


def test_an_answer_streams_by_lines_unless_told_not_to(http: httpx.Client) -> None:
    body = {"model": "demo", "messages": SUM, "options": {"temperature": 0}}
    with http.stream("POST", "/api/chat", json=body) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        found = lines(response)
    assert "".join(line["message"]["content"] for line in found) == "3 + 4 = 7."
    assert [line["done"] for line in found] == [False] * (len(found) - 1) + [True]
    last = found[-1]
    assert last["done_reason"] == "stop"
    assert last["eval_count"] > 5 < last["prompt_eval_count"]
    assert last["total_duration"] >= last["eval_duration"] > 0
    whole = http.post("/api/chat", json={**body, "stream": False}).json()
    assert whole["message"] == {"role": "assistant", "content": "3 + 4 = 7."}
    assert whole["done"] is True


def test_a_format_is_followed(http: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"sum": {"type": "integer"}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    body = {"model": "demo:latest", "messages": SUM, "stream": False, "format": schema}
    content = http.post("/api/chat", json=body).json()["message"]["content"]
    assert set(json.loads(content)) == {"sum"}


def test_no_message_loads_and_keep_alive_of_zero_unloads(http: httpx.Client) -> None:
    body = {"model": "demo", "messages": []}
    assert http.post("/api/chat", json=body).json()["done_reason"] == "load"
    assert http.get("/api/ps").json()["models"][0]["name"] == "demo:latest"
    body["keep_alive"] = "10m"
    assert http.post("/api/generate", json={"model": "demo"}).json()["done_reason"] == "load"


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_cut_off_breaks_no_answer(http: httpx.Client, stream: bool) -> None:
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    body = {"model": "demo", "messages": question, "tools": [TOOL], "stream": stream}
    calls = []
    for limit in range(4, 40, 2):
        options = {"temperature": 0, "num_predict": limit}
        found = lines(http.post("/api/chat", json={**body, "options": options}))
        assert found[-1]["done"] is True
        calls += [call for line in found for call in line["message"].get("tool_calls", ())]
    assert any("city" in call["function"]["arguments"] for call in calls), "one of them is whole"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"options": {"temperature": -1}}, "options.temperature"),
        ({"options": {"wat": 1}}, "options.wat"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, "images"),
        ({"model": "other"}, "'other'"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_one_line(
    http: httpx.Client, change: dict[str, Any], field: str
) -> None:
    response = http.post("/api/chat", json={"model": "demo", "messages": SUM, **change})
    assert response.status_code in (400, 404)
    assert field in response.json()["error"]
