"""The official `openai` package, unmodified."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")

SUM: list[Any] = [{"role": "user", "content": "What is 3 + 4?"}]
WEATHER: Any = {
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


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("gpt-4o-mini").id == "demo"


def test_chat(client: Any) -> None:
    found = client.chat.completions.create(model="demo", messages=SUM, temperature=0)
    assert found.choices[0].message.content == "3 + 4 = 7."
    assert found.choices[0].finish_reason == "stop"
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


def test_streaming_with_usage(client: Any) -> None:
    stream = client.chat.completions.create(
        model="demo",
        messages=SUM,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "3 + 4 = 7."
    assert chunks[-1].usage.completion_tokens > 5


def test_the_stream_helper(client: Any) -> None:
    with client.chat.completions.stream(model="demo", messages=SUM, temperature=0) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "3 + 4 = 7."


def test_a_stream_that_is_left_early_hurts_nobody(client: Any) -> None:
    for _ in range(3):
        stream = client.chat.completions.create(
            model="demo", messages=SUM, stream=True, max_tokens=200
        )
        next(iter(stream))
        stream.close()
    test_chat(client)


def test_many_at_once(server: str) -> None:
    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server}/v1", api_key="none") as client:
            asking = [
                client.chat.completions.create(
                    model="demo",
                    messages=[{"role": "user", "content": f"What is {n} + 4?"}],
                    temperature=0,
                )
                for n in range(1, 9)
            ]
            return [found.choices[0].message.content for found in await asyncio.gather(*asking)]

    texts = asyncio.run(run())
    assert len(set(texts)) == 8
    assert texts[2] == "3 + 4 = 7."


def test_tools(client: Any) -> None:
    question: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    found = client.chat.completions.create(
        model="demo", messages=question, tools=[WEATHER], tool_choice="required", temperature=0
    )
    message = found.choices[0].message
    (call,) = message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"weather": "sunny"}'}
    again = client.chat.completions.create(
        model="demo",
        messages=[*question, message, result],
        tools=[WEATHER],
        temperature=0,
        max_tokens=60,
    )
    assert again.choices[0].message.content


def test_structured_output_as_a_model_class(client: Any) -> None:
    from pydantic import BaseModel

    class Sum(BaseModel):
        left: int
        right: int
        total: int

    found = client.chat.completions.parse(
        model="demo", messages=SUM, response_format=Sum, temperature=0, max_tokens=100
    )
    assert isinstance(found.choices[0].message.parsed, Sum)


def test_completions(client: Any) -> None:
    found = client.completions.create(
        model="demo", prompt=["One two", "Red green"], max_tokens=5, temperature=0, logprobs=1
    )
    assert len(found.choices) == 2
    assert len(found.choices[0].logprobs.tokens) == found.usage.completion_tokens - len(
        found.choices[1].logprobs.tokens
    )


@pytest.mark.parametrize(
    ("change", "error", "status"),
    [
        ({"model": "nothing"}, "NotFoundError", 404),
        ({"temperature": -1}, "BadRequestError", 400),
        ({"messages": []}, "BadRequestError", 400),
        ({"n": 100_000}, "BadRequestError", 400),
    ],
)
def test_errors_are_those_of_the_package(
    client: Any, change: dict[str, Any], error: str, status: int
) -> None:
    body = {"model": "demo", "messages": SUM, **change}
    with pytest.raises(getattr(openai, error)) as caught:
        client.chat.completions.create(**body)
    assert caught.value.status_code == status
    assert caught.value.param == next(iter(change))
