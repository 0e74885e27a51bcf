"""`langchain-openai` and `langchain-ollama`, unmodified."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages themselves


@pytest.fixture(params=["openai", "ollama"])
def chat(request: pytest.FixtureRequest, server: str) -> Any:
    if request.param == "openai":
        package = pytest.importorskip("langchain_openai")
        return package.ChatOpenAI(
            base_url=f"{server}/v1", api_key="none", model="demo", temperature=0, max_retries=0
        )
    package = pytest.importorskip("langchain_ollama")
    return package.ChatOllama(base_url=server, model="demo", temperature=0)


def test_invoke_and_stream(chat: Any) -> None:
    assert chat.invoke("What is 3 + 4?").content == "3 + 4 = 7."
    assert "".join(chunk.content for chunk in chat.stream("What is 3 + 4?")) == "3 + 4 = 7."
    assert chat.invoke("What is 3 + 4?").usage_metadata["output_tokens"] > 5


def test_a_batch(chat: Any) -> None:
    found = chat.batch([f"What is {n} + 4?" for n in (3, 5)])
    assert [message.content for message in found] == ["3 + 4 = 7.", "5 + 4 = 9."]


def test_structured_output(chat: Any) -> None:
    from pydantic import BaseModel

    class Sum(BaseModel):
        """A sum of two numbers."""

        total: int

    method = {"method": "json_schema"}
    assert isinstance(chat.with_structured_output(Sum, **method).invoke("What is 3 + 4?"), Sum)


def test_a_tool_that_must_be_called(chat: Any) -> None:
    if type(chat).__name__ == "ChatOllama":
        pytest.skip("Ollama's interface has no way to require a call")

    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    bound = chat.bind_tools([get_weather], tool_choice="required")
    (call,) = bound.invoke("What is the weather in Paris?").tool_calls
    assert call["name"] == "get_weather"
    assert "city" in call["args"]


def test_errors_name_the_field(chat: Any) -> None:
    chat.temperature = -1
    with pytest.raises(Exception, match="temperature"):
        chat.invoke("What is 3 + 4?")
