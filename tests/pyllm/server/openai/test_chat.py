from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.pyllm.server.sse import events

SUM = [{"role": "user", "content": "What is 3 + 4?"}]


def ask(http: httpx.Client, **body: Any) -> httpx.Response:
    return http.post("/v1/chat/completions", json={"model": "demo", "temperature": 0, **body})


def streamed(http: httpx.Client, **body: Any) -> list[Any]:
    whole = {"model": "demo", "temperature": 0, "stream": True, **body}
    with http.stream("POST", "/v1/chat/completions", json=whole) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return events(response)


def test_an_answer_with_its_counts(http: httpx.Client) -> None:
    body = ask(http, messages=SUM).json()
    choice = body["choices"][0]
    assert body["object"] == "chat.completion"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "3 + 4 = 7."
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > 5 < usage["completion_tokens"]


def test_a_stream_says_the_same_in_pieces(http: httpx.Client) -> None:
    found = streamed(http, messages=SUM, stream_options={"include_usage": True})
    assert found[-1] == "[DONE]"
    chunks, usage = found[:-2], found[-2]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == "3 + 4 = 7."
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert {chunk["id"] for chunk in chunks} == {chunks[0]["id"]}
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] > 5


def test_a_stream_comes_in_pieces(http: httpx.Client) -> None:
    # Long enough that a busy machine cannot have merged all of it into one report.
    chunks = streamed(http, messages=SUM, max_tokens=300, ignore_eos=True)
    assert len(chunks) > 4


def test_a_prompt_seen_before_is_read_from_the_cache(http: httpx.Client) -> None:
    messages = [{"role": "user", "content": "Remember these words: " + "stone river cloud " * 40}]
    ask(http, messages=messages, max_tokens=1)
    usage = ask(http, messages=messages, max_tokens=1).json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > usage["prompt_tokens"] // 2


def test_log_probabilities_lie_beside_their_tokens(http: httpx.Client) -> None:
    choice = ask(http, messages=SUM, logprobs=True, top_logprobs=3).json()["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens).strip().startswith("3 + 4 = 7.")
    for token in tokens:
        assert len(token["top_logprobs"]) == 3
        assert token["top_logprobs"][0]["logprob"] >= token["logprob"]
        assert bytes(token["bytes"]).decode("utf-8", "replace") == token["token"]
    chunks = streamed(http, messages=SUM, logprobs=True, top_logprobs=3)[:-1]
    inside = [c["choices"][0]["logprobs"] for c in chunks if c["choices"][0]["logprobs"]]
    assert [token for part in inside for token in part["content"]] == tokens


def test_token_ids_of_the_prompt_and_the_answer(http: httpx.Client) -> None:
    body = ask(http, messages=SUM, return_token_ids=True, n=2).json()
    chunks = streamed(http, messages=SUM, return_token_ids=True, n=2)[:-1]
    assert body["prompt_token_ids"]
    for index in range(2):
        mine = [chunk for chunk in chunks if chunk["choices"][0]["index"] == index]
        ids = [token for chunk in mine for token in chunk["choices"][0].get("token_ids", [])]
        assert ids == body["choices"][index]["token_ids"]
        assert mine[0]["prompt_token_ids"] == body["prompt_token_ids"]
        assert not any("prompt_token_ids" in chunk for chunk in mine[1:])


def test_several_answers_of_one_request(http: httpx.Client) -> None:
    body = ask(http, messages=SUM, n=3, temperature=1.5, seed=5, max_tokens=12).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    again = ask(http, messages=SUM, n=3, temperature=1.5, seed=5, max_tokens=12).json()
    assert [c["message"] for c in again["choices"]] == [c["message"] for c in body["choices"]]


def test_an_answer_that_follows_a_schema(http: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"sum": {"type": "integer"}, "sure": {"type": "boolean"}},
        "required": ["sum", "sure"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema, "strict": True}}
    content = ask(http, messages=SUM, response_format=form).json()["choices"][0]["message"][
        "content"
    ]
    assert set(json.loads(content)) == {"sum", "sure"}
    some = ask(http, messages=SUM, response_format={"type": "json_object"}, max_tokens=60).json()
    assert some["choices"][0]["message"]["content"].lstrip().startswith("{")


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
def test_a_tool_that_must_be_called_is_called(
    http: httpx.Client, choice: Any, stream: bool
) -> None:
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    options = {"messages": question, "tools": [TOOL], "tool_choice": choice, "max_tokens": 80}
    if stream:
        chunks = [c["choices"][0] for c in streamed(http, **options)[:-1] if c["choices"]]
        pieces = [c["delta"]["tool_calls"][0] for c in chunks if "tool_calls" in c["delta"]]
        name, call_id = pieces[0]["function"]["name"], pieces[0]["id"]
        arguments = "".join(piece["function"]["arguments"] for piece in pieces)
        reason = chunks[-1]["finish_reason"]
    else:
        found = ask(http, **options).json()["choices"][0]
        call = found["message"]["tool_calls"][0]
        name, call_id = call["function"]["name"], call["id"]
        arguments, reason = call["function"]["arguments"], found["finish_reason"]
    assert name == "get_weather"
    assert call_id
    assert isinstance(json.loads(arguments)["city"], str)
    assert reason == "tool_calls"


def test_the_result_of_a_tool_is_read(http: httpx.Client) -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
    }
    messages = [
        {"role": "user", "content": "What is the weather in Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    body = ask(http, messages=messages, tools=[TOOL], max_tokens=30).json()
    assert body["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("field", "value", "param", "code"),
    [
        ("temperature", -1, "temperature", "invalid_value"),
        ("temperature", "hot", "temperature", "invalid_value"),
        ("n", 0, "n", "invalid_value"),
        ("n", 1000, "n", "invalid_value"),
        ("max_tokens", -5, "max_tokens", "invalid_value"),
        ("temprature", 1, "temprature", "unknown_field"),
        ("messages", [], "messages", "invalid_value"),
        ("messages", [{"role": "user", "content": [{"type": "image_url"}]}], None, "invalid_value"),
        ("messages", [{"content": "x"}], "messages[0].role", "invalid_value"),
        ("tool_choice", "required", "tool_choice", "invalid_value"),
        ("top_logprobs", 2, "top_logprobs", "invalid_value"),
        ("logit_bias", {"x": 1}, "logit_bias", "invalid_value"),
        ("chat_template", "{{ messages }}", "chat_template", "template_not_allowed"),
        ("chat_template_kwargs", {"x": 1}, "chat_template_kwargs.x", "template_not_allowed"),
        ("stop", ["x"] * 99, "stop", "invalid_value"),
        ("model", "nothing", "model", "model_not_found"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_honoured_is_refused_by_name(
    http: httpx.Client, field: str, value: Any, param: str | None, code: str, stream: bool
) -> None:
    response = ask(http, **{"messages": SUM, "stream": stream, field: value})
    error = response.json()["error"]
    assert response.status_code in (400, 404)
    assert error["code"] == code
    if param is not None:
        assert error["param"] == param
        assert param in error["message"] or field == "model"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("response_format", {"type": "json_schema", "json_schema": {"schema": {"type": "wat"}}}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x"}}),
        ("guided_regex", "(?<=x)a"),
        ("structured_outputs", {"nonsense": 1}),
        ("structured_outputs", {"json": {"type": "object"}, "regex": "a"}),
        ("grammar", "root ::= ("),
    ],
)
def test_a_structure_that_cannot_be_made_is_refused_under_the_name_it_came_with(
    http: httpx.Client, field: str, value: Any
) -> None:
    response = ask(http, messages=SUM, **{field: value})
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["param"].startswith(field)
    assert "dict:" not in error["message"]


def test_a_prompt_that_is_too_long_is_told_both_counts(http: httpx.Client) -> None:
    response = ask(http, messages=[{"role": "user", "content": "word " * 20_000}])
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["code"] == "context_length_exceeded"
    assert error["prompt_tokens"] > error["max_model_len"] > 100
