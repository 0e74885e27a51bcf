"""What a request says about tools, checked: functions, which of them to call, how many at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pyllm.errors import RequestError

Json: TypeAlias = Any
Mode: TypeAlias = Literal["none", "auto", "required"]

MAX_TOOLS = 128
MAX_SCHEMA = 65_536  # characters of one function's parameters, as JSON
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}
_NEED = '{"type": "function", "function": {"name": …, "parameters": …}}'
_CHOICES = 'must be "auto", "none", "required" or {"type": "function", "function": {"name": …}}'


@dataclass(frozen=True, slots=True)
class Function:
    """A function that the model may call."""

    name: str
    parameters: dict[str, Json]  # a JSON schema
    is_strict: bool = False


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """Tools as OpenAI's clients send them, after `of` has checked them.

    functions   those that may be called, by name
    mode        none: the model is told of no tool; auto: it decides; required: it must call one
    parallel    whether an answer may have more than one call
    definitions what the chat template gets as `tools`, None: nothing
    """

    functions: Mapping[str, Function] = field(default_factory=dict)
    mode: Mode = "none"
    parallel: bool = True
    definitions: Sequence[Mapping[str, Json]] | None = None

    @staticmethod
    def of(
        tools: object = None, tool_choice: object = None, parallel_tool_calls: object = None
    ) -> ToolRequest:
        """The fields of a request, None where it has none. Raises RequestError naming the field."""
        if parallel_tool_calls is not None and not isinstance(parallel_tool_calls, bool):
            raise RequestError("parallel_tool_calls", parallel_tool_calls, "must be true or false")
        functions = _functions(tools)
        mode, name = _choice(tool_choice, functions)
        if mode == "none" or not isinstance(tools, list | tuple):
            return ToolRequest()
        chosen = functions if name is None else {name: functions[name]}
        is_parallel = parallel_tool_calls is not False and name is None  # a named one: called once
        return ToolRequest(chosen, mode, is_parallel, list(map(_definition, tools)))


def _definition(tool: Mapping[str, Json]) -> dict[str, Json]:
    """With what clients may leave out and templates insist on; without `strict`, which is not for
    the model: in prompts it would be unlike anything seen in training."""
    function = {name: value for name, value in tool["function"].items() if name != "strict"}
    function.setdefault("description", "")
    if function.get("parameters") is None:
        function["parameters"] = dict(_NO_PARAMETERS)
    return {**tool, "type": "function", "function": function}


def _functions(tools: object) -> dict[str, Function]:
    if tools is None:
        return {}
    if not isinstance(tools, list | tuple):
        raise RequestError("tools", tools, "must be a list")
    if len(tools) > MAX_TOOLS:
        raise RequestError("tools", len(tools), f"must be at most {MAX_TOOLS}")
    functions: dict[str, Function] = {}
    for index, tool in enumerate(tools):
        function = _function(f"tools[{index}]", tool)
        if function.name in functions:
            raise RequestError(f"tools[{index}].function.name", function.name, "is taken")
        functions[function.name] = function
    return functions


def _function(where: str, tool: object) -> Function:
    if not isinstance(tool, Mapping) or tool.get("type", "function") != "function":
        raise RequestError(where, tool, f"must be {_NEED}")
    function = tool.get("function")
    if not isinstance(function, Mapping):
        raise RequestError(f"{where}.function", function, f"must be {_NEED}")
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RequestError(f"{where}.function.name", name, f"must match {_NAME.pattern}")
    description = function.get("description")
    if not isinstance(description, str | None):
        raise RequestError(f"{where}.function.description", description, "must be a string")
    parameters = _parameters(f"{where}.function.parameters", function.get("parameters"))
    return Function(name, parameters, function.get("strict") is True)


def _parameters(where: str, schema: object) -> dict[str, Json]:
    if schema is None:
        return dict(_NO_PARAMETERS)
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise RequestError(where, schema, 'must be a JSON schema of type "object"')
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise RequestError(where, schema, "must be JSON, not nested too deeply") from None
    if size > MAX_SCHEMA:
        raise RequestError(where, size, f"must have at most {MAX_SCHEMA} characters")
    return {"type": "object", **schema}


def _choice(choice: object, functions: Mapping[str, Function]) -> tuple[Mode, str | None]:
    if choice is None or choice == "auto":
        return ("auto" if functions else "none"), None
    if choice == "none":
        return "none", None
    if choice == "required":
        if not functions:
            raise RequestError("tool_choice", choice, "needs tools")
        return "required", None
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(choice, Mapping) or choice.get("type") != "function" or name is None:
        raise RequestError("tool_choice", choice, _CHOICES)
    if not isinstance(name, str) or name not in functions:
        raise RequestError("tool_choice.function.name", name, "must be one of tools")
    return "required", name
