"""`litellm`, unmodified: as OpenAI, and as Ollama."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # of the package itself
SUM = [{"role": "user", "content": "What is 3 + 4?"}]


@pytest.fixture(scope="module")
def litellm() -> Any:
    monkey = pytest.MonkeyPatch()
    monkey.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it downloads one
    yield pytest.importorskip("litellm")
    monkey.undo()


def options(provider: str, server: str) -> dict[str, Any]:
    if provider == "openai":
        return {"model": "openai/demo", "api_base": f"{server}/v1", "api_key": "none"}
    return {"model": "ollama_chat/demo", "api_base": server}


@pytest.mark.parametrize("provider", ["openai", "ollama"])
def test_whole_and_streamed(litellm: Any, server: str, provider: str) -> None:
    where = options(provider, server)
    found = litellm.completion(messages=SUM, temperature=0, num_retries=0, **where)
    assert found.choices[0].message.content == "3 + 4 = 7."
    stream = litellm.completion(messages=SUM, temperature=0, stream=True, **where)
    assert "".join(c.choices[0].delta.content or "" for c in stream) == "3 + 4 = 7."


def test_errors_are_those_of_the_package(litellm: Any, server: str) -> None:
    where = options("openai", server) | {"model": "openai/nothing"}
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(messages=SUM, num_retries=0, **where)
