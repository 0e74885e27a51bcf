"""The official `ollama` package, unmodified."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

ollama = pytest.importorskip("ollama")

SUM: list[Any] = [{"role": "user", "content": "What is 3 + 4?"}]
COLD = {"temperature": 0}


@pytest.fixture
def client(server: str) -> Any:
    return ollama.Client(host=server)


def test_models(client: Any) -> None:
    assert [model.model for model in client.list().models] == ["demo:latest"]
    shown = client.show("demo")
    assert shown.details.family == "llama"
    assert "tools" in shown.capabilities
    client.chat("demo", messages=SUM, options={"num_predict": 1})
    assert client.ps().models[0].model == "demo:latest"


def test_chat_whole_and_streamed(client: Any) -> None:
    found = client.chat("demo", messages=SUM, options=COLD)
    assert found.message.content == "3 + 4 = 7."
    assert found.done
    parts = list(client.chat("demo", messages=SUM, options=COLD, stream=True))
    assert "".join(part.message.content for part in parts) == "3 + 4 = 7."
    assert parts[-1].eval_count == found.eval_count


def test_generate(client: Any) -> None:
    found = client.generate("demo", "What is 3 + 4?", options=COLD)
    assert found.response == "3 + 4 = 7."
    parts = list(client.generate("demo", "What is 3 + 4?", options=COLD, stream=True))
    assert "".join(part.response for part in parts) == "3 + 4 = 7."


def test_a_format(client: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"sum": {"type": "integer", "maximum": 99}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    found = client.chat("demo", messages=SUM, format=schema, options=COLD)
    assert isinstance(json.loads(found.message.content)["sum"], int)


def test_tools_are_offered_and_their_results_read(client: Any) -> None:
    def get_weather(city: str) -> str:
        """The weather of a city.

        Args:
            city: its name
        """
        return f"sunny in {city}"

    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    found = client.chat("demo", messages=question, tools=[get_weather], options=COLD)
    calls = found.message.tool_calls or []
    for call in calls:
        assert call.function.name == "get_weather"
    assert calls or found.message.content
    history = [
        *question,
        {
            "role": "assistant",
            "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}],
        },
        {"role": "tool", "tool_name": "get_weather", "content": "sunny"},
    ]
    assert client.chat("demo", messages=history, tools=[get_weather], options=COLD).message.content


def test_errors(client: Any) -> None:
    with pytest.raises(ollama.ResponseError, match="does not exist") as caught:
        client.chat("nothing", messages=SUM)
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match=r"options\.temperature"):
        client.chat("demo", messages=SUM, options={"temperature": -3})


def test_the_asynchronous_client(server: str) -> None:
    async def run() -> str:
        client = ollama.AsyncClient(host=server)
        stream = await client.chat("demo", messages=SUM, options=COLD, stream=True)
        return "".join([part.message.content async for part in stream])

    assert asyncio.run(run()) == "3 + 4 = 7."
