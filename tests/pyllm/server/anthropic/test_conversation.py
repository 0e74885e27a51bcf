from __future__ import annotations

from typing import Any

import pytest

from pyllm.demo import demo_model
from pyllm.errors import RequestError
from pyllm.server.anthropic.conversation import chat_job
from pyllm.server.anthropic.protocol import MessagesRequest
from pyllm.server.service import ChatJob
from pyllm.server.settings import ModelSource, ServerSettings
from pyllm.server.structure import Structure

HI = [{"role": "user", "content": "Hi"}]
TOOLS = [{"name": "weather", "description": "Weather", "input_schema": {"type": "object"}}]
CALL = {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Zürich"}}


def job(*, has_budget: bool = True, **body: Any) -> ChatJob:
    path = demo_model()
    assert path is not None
    request = MessagesRequest.model_validate({"max_tokens": 9, "messages": HI, **body})
    settings = ServerSettings((ModelSource("demo", path),))
    return chat_job(request, settings, {}, has_budget=has_budget, stream=False)


def refused(**body: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        job(**body)
    return caught.value


def test_the_system_prompt_is_the_first_message() -> None:
    assert job(system="Be brief.").messages[0] == {"role": "system", "content": "Be brief."}
    blocks = [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be kind."},
    ]
    assert job(system=blocks).messages[0]["content"] == "Be brief.\n\nBe kind."


def test_what_differs_in_every_request_of_claude_code_is_left_out() -> None:
    line = "x-anthropic-billing-header: cc_version=2.1; cch=12ab3;"
    blocks = [{"type": "text", "text": line}, {"type": "text", "text": "Be brief."}]
    assert job(system=blocks).messages[0]["content"] == "Be brief."
    assert job(system=f"{line}\nBe brief.").messages[0]["content"] == "Be brief."


def test_a_round_of_tool_use() -> None:
    messages = [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I must ask.", "signature": "x"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "I ask."},
                CALL,
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "sunny"},
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    found = job(messages=messages, tools=TOOLS).messages
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "user"]
    assert found[1]["reasoning_content"] == "I must ask."
    function = found[1]["tool_calls"][0]["function"]
    assert function == {"name": "weather", "arguments": '{"city": "Zürich"}'}
    assert found[2] == {"role": "tool", "tool_call_id": "a", "content": "sunny"}


def test_a_failed_tool_says_so() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "a",
        "is_error": True,
        "content": [{"type": "text", "text": "no such city"}],
    }
    messages = [
        *HI,
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [result]},
    ]
    assert job(messages=messages).messages[-1]["content"] == "Error: no such city"


def test_tools_and_what_to_do_with_them() -> None:
    found = job(tools=[{**TOOLS[0], "type": "custom", "eager_input_streaming": True}])
    function = {"name": "weather", "description": "Weather", "parameters": {"type": "object"}}
    assert found.tools == [{"type": "function", "function": function}]
    assert (found.tool_choice, found.parallel_tool_calls) == ("auto", True)
    alone = {"type": "any", "disable_parallel_tool_use": True}
    found = job(tools=TOOLS, tool_choice=alone)
    assert (found.tool_choice, found.parallel_tool_calls) == ("required", False)
    named = job(tools=TOOLS, tool_choice={"type": "tool", "name": "weather"})
    assert named.tool_choice == {"type": "function", "function": {"name": "weather"}}
    assert job(tools=TOOLS, tool_choice={"type": "none"}).tool_choice == "none"


def test_thinking() -> None:
    enabled = job(thinking={"type": "enabled", "budget_tokens": 5})
    assert enabled.thinking is True
    assert enabled.params.thinking_token_budget == 5
    unlimited = job(thinking={"type": "enabled", "budget_tokens": 5}, has_budget=False)
    assert unlimited.params.thinking_token_budget is None
    assert job().thinking is False
    assert job(thinking={"type": "disabled"}).thinking is False
    assert job(thinking={"type": "adaptive"}).thinking is None
    assert job(output_config={"effort": "low"}).template_variables["reasoning_effort"] == "low"


def test_sampling() -> None:
    params = job(temperature=0.5, top_p=0.9, top_k=7, stop_sequences=["END"], seed=3).params
    assert (params.temperature, params.top_p, params.top_k, params.seed) == (0.5, 0.9, 7, 3)
    assert params.stop_strings == ("END",)
    assert params.max_tokens == 9


def test_a_schema_for_the_answer() -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    params = {"json": {"type": "object"}}
    found = job(output_config={"format": wanted}).structure
    assert found == Structure("output_config.format", params)
    assert job(output_format=wanted).structure == Structure("output_format", params)
    both = refused(output_format=wanted, output_config={"format": wanted})
    assert both.field == "output_format"


def test_an_assistants_last_message_is_continued() -> None:
    assert job().continue_final_message is False
    begun = [*HI, {"role": "assistant", "content": "The answer is"}]
    assert job(messages=begun).continue_final_message is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
         "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "document"}]}]},
         "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]},
         "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [CALL]}]}, "messages[0].content[0].type"),
        ({"messages": [*HI, {"role": "assistant", "content": [CALL]}]}, "messages[1]"),
        ({"messages": [{"role": "user", "content": []}]}, "messages"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image"}]}]}]},
         "messages[0].content[0].content[0].type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "weather"}]}, "tools[0].input_schema"),
        ({"tools": [*TOOLS, *TOOLS]}, "tools[1].name"),
        ({"tools": [{"name": "a", "input_schema": {"type": "array"}}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "any"}}, "tool_choice.type"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(body: dict[str, Any], field: str) -> None:
    assert refused(**body).field == field
