"""Tools of a request: what is refused names its field."""

from __future__ import annotations

from typing import Any

import pytest

from pyllm import RequestError
from pyllm.tool_calls import ToolRequest
from tests.pyllm.tool_calls.support import TOOLS

NAMED = {"type": "function", "function": {"name": "stop"}}


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **function}}


def test_what_the_template_is_told() -> None:
    assert ToolRequest.of().mode == "none"
    assert ToolRequest.of([]).mode == "none"
    assert ToolRequest.of(TOOLS, "none").definitions is None
    auto = ToolRequest.of(TOOLS)
    assert (auto.mode, auto.parallel) == ("auto", True)
    assert auto.definitions is not None
    assert auto.definitions[0] == TOOLS[0]
    assert ToolRequest.of(TOOLS, "required", False).parallel is False
    named = ToolRequest.of(TOOLS, NAMED)
    assert (named.mode, list(named.functions), named.parallel) == ("required", ["stop"], False)
    assert named.definitions == auto.definitions


def test_what_is_not_for_the_model_is_not_told() -> None:
    request = ToolRequest.of([tool(description="d", parameters={"type": "object"}, strict=True)])
    assert request.functions["f"].is_strict
    assert request.definitions == [tool(description="d", parameters={"type": "object"})]


def test_a_function_without_parameters_takes_none() -> None:
    request = ToolRequest.of([{"function": {"name": "f"}}])
    parameters = {"type": "object", "properties": {}, "additionalProperties": False}
    assert request.functions["f"].parameters == parameters
    assert request.definitions == [tool(description="", parameters=parameters)]


@pytest.mark.parametrize(
    ("tools", "choice", "parallel", "field"),
    [
        ("f", None, None, "tools"),
        ([3], None, None, "tools[0]"),
        ([{"type": "retrieval"}], None, None, "tools[0]"),
        ([{"type": "function"}], None, None, "tools[0].function"),
        ([tool(name="a b")], None, None, "tools[0].function.name"),
        ([tool(name="x" * 65)], None, None, "tools[0].function.name"),
        ([tool(), tool()], None, None, "tools[1].function.name"),
        ([tool(description=3)], None, None, "tools[0].function.description"),
        ([tool(parameters=3)], None, None, "tools[0].function.parameters"),
        ([tool(parameters={"type": "array"})], None, None, "tools[0].function.parameters"),
        ([tool(parameters={"a": {1}})], None, None, "tools[0].function.parameters"),
        ([tool(parameters={"a": "x" * 65536})], None, None, "tools[0].function.parameters"),
        ([tool(name=f"f{i}") for i in range(129)], None, None, "tools"),
        ([], "required", None, "tool_choice"),
        (TOOLS, "must", None, "tool_choice"),
        (TOOLS, {"type": "function"}, None, "tool_choice"),
        (TOOLS, {"type": "function", "function": {"name": "g"}}, None, "tool_choice.function.name"),
        (TOOLS, None, 1, "parallel_tool_calls"),
    ],
)
def test_what_is_refused(tools: Any, choice: Any, parallel: Any, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        ToolRequest.of(tools, choice, parallel)
    assert caught.value.field == field


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(RequestError):
        ToolRequest.of([tool(parameters=schema)])
