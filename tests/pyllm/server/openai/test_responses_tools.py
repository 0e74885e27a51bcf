from __future__ import annotations

from typing import Any

import pytest

from pyllm.errors import RequestError
from pyllm.server.openai.responses_protocol import ResponsesRequest
from pyllm.server.openai.responses_tools import ResponseTools, tools_of

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Weather",
    "parameters": {"type": "object"},
    "strict": False,
}
NOW = {"type": "function", "name": "now"}


def found(tools: list[Any], choice: Any = None) -> ResponseTools:
    body = ResponsesRequest.model_validate({"tools": tools, "tool_choice": choice})
    return tools_of(body.tools or (), body.tool_choice)


def test_functions_have_the_shape_of_chats() -> None:
    tools = found([WEATHER])
    function = {name: value for name, value in WEATHER.items() if name != "type"}
    assert tools.functions == [{"type": "function", "function": function}]
    assert tools.choice == "auto"
    assert tools.shown == [WEATHER]


def test_functions_of_a_namespace_have_names_of_their_own() -> None:
    namespace = {"type": "namespace", "name": "sky", "description": "", "tools": [WEATHER]}
    tools = found([WEATHER, namespace])
    assert list(tools.names) == ["weather", "sky__weather"]
    assert tools.names["sky__weather"].namespace == "sky"


def test_searches_of_the_service_are_not_offered_to_the_model() -> None:
    tools = found([{"type": "web_search", "external_web_access": False}, NOW])
    assert list(tools.names) == ["now"]
    assert [tool["name"] for tool in tools.shown] == ["now"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "now"}, {"type": "function", "function": {"name": "now"}}),
    ],
)
def test_choices(choice: Any, expected: Any) -> None:
    assert found([WEATHER, NOW], choice).choice == expected


def test_only_allowed_tools_are_shown_to_the_model() -> None:
    allowed = [{"type": "function", "name": "now"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    tools = found([WEATHER, NOW], choice)
    assert [tool["function"]["name"] for tool in tools.functions] == ["now"]
    assert tools.choice == "required"
    assert len(tools.shown) == 2


@pytest.mark.parametrize(
    ("tools", "choice", "field"),
    [
        ([{"type": "code_interpreter"}], None, "tools[0].type"),
        ([{"type": "custom", "name": "a"}], None, "tools[0].type"),
        ([{"type": "namespace", "name": "a", "tools": [{"type": "custom"}]}], None,
         "tools[0].tools[0].type"),
        ([{"type": "function"}], None, "tools[0].name"),
        ([{"type": "web_search"}, NOW, NOW], None, "tools[2].name"),
        ([{**NOW, "name": "a b"}], None, "tools[0].name"),
        ([NOW, {**WEATHER, "parameters": {"type": "array"}}], None, "tools[1].parameters"),
        ([{"type": "web_search"}], "required", "tool_choice"),
        ([NOW], {"type": "function", "name": "x"}, "tool_choice.name"),
        ([NOW], {"type": "web_search"}, "tool_choice.type"),
        ([NOW], {"type": "allowed_tools", "tools": [{"type": "function", "name": "x"}]},
         "tool_choice.tools[0].name"),
    ],
)  # fmt: skip
def test_others_are_refused_by_name(tools: list[Any], choice: Any, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        found(tools, choice)
    assert caught.value.field == field
