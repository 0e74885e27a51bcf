"""The official `openai` package speaks to /v1/responses, unmodified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

openai = pytest.importorskip("openai")

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
    "strict": True,
}
SUM = "What is 3 + 4?"


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        yield client


def create(client: Any, **fields: Any) -> Any:
    return client.responses.create(**{"model": "demo", "temperature": 0, **fields})


def stream(client: Any, **fields: Any) -> tuple[list[Any], Any]:
    with client.responses.stream(**{"model": "demo", "temperature": 0, **fields}) as found:
        return list(found), found.get_final_response()


def test_an_answer(client: Any) -> None:
    response = create(client, input=SUM, instructions="You are a calculator.")
    assert response.output_text == "3 + 4 = 7."
    assert response.status == "completed"
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    counted = client.responses.input_tokens.count(
        model="demo", input=SUM, instructions="You are a calculator."
    )
    assert counted.input_tokens == response.usage.input_tokens


def test_a_stream_says_the_same(client: Any) -> None:
    events, response = stream(client, input=[{"role": "user", "content": SUM}])
    assert response.output_text == "3 + 4 = 7."
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "3 + 4 = 7."
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")


def test_a_round_of_calls(client: Any) -> None:
    said: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    events, first = stream(client, input=said, tools=[WEATHER])
    call = first.output[0]
    assert (call.type, call.name) == ("function_call", "get_weather")
    assert json.loads(call.arguments) == {"city": "Paris"}
    deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    assert "".join(deltas) == call.arguments
    assert create(client, input=said, tools=[WEATHER]).output[0].arguments == call.arguments
    result = {
        "type": "function_call_output",
        "call_id": call.call_id,
        "output": '{"temperature": 21, "sky": "sunny"}',
    }
    answers = (
        create(client, input=[*said, *first.to_dict()["output"], result], tools=[WEATHER]),
        create(client, input=[result], previous_response_id=first.id, tools=[WEATHER]),
    )
    for answer in answers:
        assert answer.output_text == "In Paris it is 21 degrees and sunny."


def test_a_required_call(client: Any) -> None:
    response = create(client, input="Hello", tools=[WEATHER], tool_choice="required")
    assert response.output[0].type == "function_call"
    assert set(json.loads(response.output[0].arguments)) == {"city"}


def test_an_answer_after_a_schema(client: Any) -> None:
    pydantic = pytest.importorskip("pydantic")
    person = pydantic.create_model("Person", name=(str, ...), age=(int, ...))
    text = "Extract the data: Anna is 31 years old."
    response = client.responses.parse(model="demo", temperature=0, input=text, text_format=person)
    assert isinstance(response.output_parsed.age, int)


def test_log_probabilities(client: Any) -> None:
    events, response = stream(
        client, input=SUM, top_logprobs=2, include=["message.output_text.logprobs"]
    )
    content = response.output[0].content[0]
    assert "".join(entry.token for entry in content.logprobs) == content.text
    assert all(len(entry.top_logprobs) == 2 for entry in content.logprobs)
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    for delta in deltas:
        assert "".join(entry.token for entry in delta.logprobs) == delta.delta
    whole = create(client, input=SUM, top_logprobs=2, include=["message.output_text.logprobs"])
    entries = whole.output[0].content[0].logprobs
    assert [entry.logprob for entry in entries] == [entry.logprob for entry in content.logprobs]


def test_an_answer_that_is_cut_off(client: Any) -> None:
    response = create(client, input="Tell me a story.", max_output_tokens=5)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    *_, last = create(client, input="Tell me a story.", max_output_tokens=5, stream=True)
    assert last.type == "response.incomplete"
    assert last.response.output_text == response.output_text


def test_kept_responses(client: Any) -> None:
    first = create(client, input="My name is Anna.")
    second = create(client, input="What is my name?", previous_response_id=first.id)
    assert "Anna" in second.output_text
    assert client.responses.retrieve(second.id).output_text == second.output_text
    items = list(client.responses.input_items.list(second.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == [
        "My name is Anna.",
        first.output_text,
        "What is my name?",
    ]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError) as caught:
        create(client, input="Hello", previous_response_id=second.id)
    assert caught.value.body["code"] == "previous_response_not_found"
    with pytest.raises(openai.BadRequestError, match="complete"):
        client.responses.cancel(second.id)


def test_what_is_not_kept_is_gone(client: Any) -> None:
    response = create(client, input="Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"truncation": "auto"}, "truncation"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["a"]}]}, "tools[0].type"),
        ({"temperature": -1}, "temperature"),
        ({"extra_body": {"temprature": 1}}, "temprature"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    client: Any, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, input="Hello", **fields)
    assert caught.value.body["param"] == param


def test_an_unknown_model(client: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        create(client, input="Hello", model="nobody")


def test_a_request_as_codex_sends_it(http: httpx.Client) -> None:
    body = {
        "model": "demo",
        "instructions": "You are a helpful assistant.",
        "input": [
            {"type": "message", "role": "developer",
             "content": [{"type": "input_text", "text": "Be brief."}]},
            {"type": "message", "role": "user",
             "content": [{"type": "input_text", "text": "What is the weather in Paris?"}]},
        ],
        "tools": [
            {**WEATHER, "strict": False},
            {"type": "web_search", "external_web_access": False},
            {"type": "namespace", "name": "mcp__clock", "description": "Clock", "tools": [
                {"type": "function", "name": "get_time", "description": "Get the time in a city",
                 "strict": False, "parameters": WEATHER["parameters"]}]},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199",
        "text": {"verbosity": "low"},
        "client_metadata": {"x-codex-installation-id": "a"},
    }  # fmt: skip
    with http.stream("POST", "/v1/responses", json=body) as response:
        assert response.status_code == 200
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    last = json.loads(lines[-1].removeprefix("data: "))
    assert last["type"] == "response.completed"
    assert [tool["type"] for tool in last["response"]["tools"]] == ["function", "namespace"]
    assert last["response"]["usage"]["total_tokens"] > 0
