"""The official `anthropic` package speaks to /v1/messages, unmodified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

anthropic = pytest.importorskip("anthropic")

WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
SUM = [{"role": "user", "content": "What is 3 + 4?"}]
PARIS = [{"role": "user", "content": "What is the weather in Paris?"}]
COLD = {"extra_body": {"temperature": 0}}


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=server, api_key="none", max_retries=0) as client:
        yield client


def create(client: Any, **fields: Any) -> Any:
    return client.messages.create(**{"model": "demo", "max_tokens": 60, **COLD, **fields})


def stream(client: Any, **fields: Any) -> tuple[list[Any], Any]:
    with client.messages.stream(**{"model": "demo", "max_tokens": 60, **COLD, **fields}) as found:
        return list(found), found.get_final_message()


def test_an_answer(client: Any) -> None:
    message = create(client, messages=SUM, system="You are a calculator.")
    assert message.content[0].text == "3 + 4 = 7."
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    counted = client.messages.count_tokens(
        model="demo", messages=SUM, system="You are a calculator."
    )
    assert counted.input_tokens == message.usage.input_tokens
    assert message.usage.output_tokens > 5


def test_a_stream_says_the_same(client: Any) -> None:
    events, message = stream(client, messages=SUM)
    assert message.content[0].text == "3 + 4 = 7."
    pieces = [event.text for event in events if event.type == "text"]
    assert "".join(pieces) == "3 + 4 = 7."
    whole = create(client, messages=SUM)
    assert message.usage.output_tokens == whole.usage.output_tokens
    assert message.stop_reason == "end_turn"


def test_a_round_of_tool_use(client: Any) -> None:
    _, first = stream(client, messages=PARIS, tools=[WEATHER])
    use = first.content[0]
    assert (use.type, use.name, use.input) == ("tool_use", "get_weather", {"city": "Paris"})
    assert first.stop_reason == "tool_use"
    assert create(client, messages=PARIS, tools=[WEATHER]).content[0].input == use.input
    result = {
        "type": "tool_result",
        "tool_use_id": use.id,
        "content": [{"type": "text", "text": '{"temperature": 21, "sky": "sunny"}'}],
    }
    said = [
        *PARIS,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    answer = create(client, messages=said, tools=[WEATHER])
    assert answer.content[0].text == "In Paris it is 21 degrees and sunny."


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_required_tool(client: Any, choice: dict[str, Any]) -> None:
    hello = [{"role": "user", "content": "Hello"}]
    message = create(client, messages=hello, tools=[WEATHER], tool_choice=choice)
    assert message.content[0].type == "tool_use"
    assert set(message.content[0].input) == {"city"}


def test_no_tool(client: Any) -> None:
    message = create(client, messages=PARIS, tools=[WEATHER], tool_choice={"type": "none"})
    assert [block.type for block in message.content] == ["text"]


def test_a_model_that_does_not_think_answers_all_the_same(client: Any) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    message = create(client, messages=SUM, max_tokens=2000, thinking=thinking)
    assert message.content[0].text == "3 + 4 = 7."


def test_where_an_answer_ends(client: Any) -> None:
    message = create(client, messages=SUM, stop_sequences=["= 7"])
    assert message.content[0].text == "3 + 4 "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "= 7")
    assert create(client, messages=SUM, max_tokens=2).stop_reason == "max_tokens"


def test_the_beginning_of_an_answer_is_continued(client: Any) -> None:
    begun = [*SUM, {"role": "assistant", "content": "3 + 4 ="}]
    assert create(client, messages=begun).content[0].text.strip() == "7."


def test_an_answer_after_a_schema(client: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
        "additionalProperties": False,
    }
    text = "Extract the data: Anna is 31 years old."
    message = create(
        client,
        messages=[{"role": "user", "content": text}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert message.content[0].text.startswith("{")


def test_prefixes_are_cached_without_being_asked(client: Any) -> None:
    text = "Remember these words: " + "river stone cloud " * 40
    said = [{"role": "user", "content": text}]
    create(client, messages=said, max_tokens=1)
    usage = create(client, messages=said, max_tokens=1).usage
    assert usage.cache_read_input_tokens > usage.input_tokens
    _, message = stream(client, messages=said, max_tokens=1)
    assert message.usage.cache_read_input_tokens == usage.cache_read_input_tokens
    assert message.usage.input_tokens == usage.input_tokens


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "image"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"extra_body": {"temperature": -1}}, "temperature"),
        ({"extra_body": {"temprature": 1}}, "temprature"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    client: Any, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        create(client, **{"messages": SUM, **fields})
    error = caught.value.body["error"]
    assert error["type"] == "invalid_request_error"
    assert named in error["message"]


def test_an_unknown_model(client: Any) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        create(client, messages=SUM, model="claude-sonnet")
    assert caught.value.body["error"]["type"] == "not_found_error"


def test_a_prompt_that_is_too_long(client: Any) -> None:
    said = [{"role": "user", "content": "river stone cloud " * 2000}]
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long: "):
        create(client, messages=said)


def test_the_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("demo").id == "demo"


def test_max_tokens_must_be_given(http: httpx.Client) -> None:
    response = http.post("/v1/messages", json={"model": "demo", "messages": SUM})
    assert response.status_code == 400
    assert "max_tokens" in response.json()["error"]["message"]


def test_a_request_as_claude_code_sends_it(http: httpx.Client) -> None:
    books = "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch={};"
    kept = {"type": "ephemeral"}
    body: dict[str, Any] = {
        "model": "demo",
        "max_tokens": 32000,
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "<system-reminder>\nBe brief.\n</system-reminder>\n"},
                {"type": "text", "text": "What is the weather in Paris?", "cache_control": kept},
            ]},
        ],
        "system": [
            {"type": "text", "text": ""},
            {"type": "text", "text": "You are a helpful assistant.", "cache_control": kept},
        ],
        "tools": [WEATHER, *({**WEATHER, "name": f"tool_{i}", "eager_input_streaming": True}
                             for i in range(8))],
        "metadata": {"user_id": "user_1_session_2"},
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "temperature": 1,
        "stream": True,
    }  # fmt: skip
    headers = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,nobody-knows-this-2030-01-01",
        "x-api-key": "none",
    }
    usages = []
    for nonce in ("36ee5", "0aaa9"):
        body["system"][0]["text"] = books.format(nonce)
        response = http.post("/v1/messages?beta=true", json=body, headers=headers)
        assert response.status_code == 200, response.text
        lines = response.text.splitlines()
        assert lines[0] == "event: message_start"
        assert lines[-3] == "event: message_stop"
        deltas = [line for line in lines if '"type":"message_delta"' in line]
        usages.append(deltas[0])
    assert '"cache_read_input_tokens":0' not in usages[1]  # the nonce is no part of the prompt
