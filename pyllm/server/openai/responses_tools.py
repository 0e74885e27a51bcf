"""The tools of a /v1/responses request, as functions with one name each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyllm.errors import RequestError
from pyllm.server.openai.responses_protocol import Tool, ToolChoice
from pyllm.server.tool_fields import checked_tool

# OpenAI's service runs these by itself when a model likes to, and clients (Codex) offer them in
# every request. Here no model hears of them; the response's `tools` are those that it heard of.
_LEFT_OUT = (
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "image_generation",
)
_KINDS = "must be function or namespace: this server runs no tools"


@dataclass(frozen=True)
class ToolName:
    """As the client knows the function."""

    name: str
    namespace: str | None = None

    @property
    def flat(self) -> str:
        """As the model knows it."""
        if self.namespace is None:
            return self.name
        return f"{self.namespace.rstrip('_')}__{self.name}"


@dataclass(frozen=True)
class ResponseTools:
    """
    functions  by the name that the model knows, in the shape of chat completions
    names      the client's names by the model's
    shown      what the response says of them
    choice     as in ChatJob
    """

    functions: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, ToolName] = field(default_factory=dict)
    shown: list[dict[str, Any]] = field(default_factory=list)
    choice: str | dict[str, Any] = "auto"


def tools_of(tools: Sequence[Tool], choice: ToolChoice | None) -> ResponseTools:
    """Raises RequestError naming the field."""
    found = ResponseTools()
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if tool.type in _LEFT_OUT:
            continue
        if tool.type == "namespace":
            for number, inner in enumerate(tool.tools or ()):
                _add(found, f"{where}.tools[{number}]", inner, tool.name)
        else:
            _add(found, where, tool, None)
        found.shown.append(_shown(tool))
    return found if choice is None else _chosen(found, choice)


def _add(found: ResponseTools, where: str, tool: Tool, namespace: str | None) -> None:
    if tool.type != "function":
        raise RequestError(f"{where}.type", tool.type, _KINDS)
    if tool.name is None:
        raise RequestError(f"{where}.name", None, "is missing")
    name = ToolName(tool.name, namespace)
    fields = tool.model_dump(include={"description", "parameters", "strict"}, exclude_none=True)
    function = {"name": name.flat, **fields}
    found.functions.append(checked_tool(function, where, {}, set(found.names)))
    found.names[name.flat] = name


def _shown(tool: Tool) -> dict[str, Any]:
    if tool.type == "function":
        return tool.model_dump(exclude={"tools"})
    return tool.model_dump(exclude_none=True)


def _chosen(found: ResponseTools, choice: ToolChoice) -> ResponseTools:
    if choice.type in ("auto", "none"):
        return ResponseTools(found.functions, found.names, found.shown, choice.type)
    if choice.type == "allowed_tools":
        return _allowed(found, choice)
    if choice.type == "function":
        flat = _flat(found, "tool_choice.name", choice.name)
        named = {"type": "function", "function": {"name": flat}}
        return ResponseTools(found.functions, found.names, found.shown, named)
    if choice.type != "required":
        limit = "must be auto, none, required, function or allowed_tools"
        raise RequestError("tool_choice.type", choice.type, limit)
    if not found.functions:
        raise RequestError("tool_choice", "required", "needs a tool of type function")
    return ResponseTools(found.functions, found.names, found.shown, "required")


def _allowed(found: ResponseTools, choice: ToolChoice) -> ResponseTools:
    """The others are not shown to the model, so that it cannot call them."""
    allowed = {
        _flat(found, f"tool_choice.tools[{index}].name", tool.get("name"))
        for index, tool in enumerate(choice.tools or ())
        if tool.get("type") not in _LEFT_OUT
    }
    functions = [tool for tool in found.functions if tool["function"]["name"] in allowed]
    mode = choice.mode or "auto"
    if mode == "required" and not functions:
        raise RequestError("tool_choice.tools", [], "must name a tool of type function")
    return ResponseTools(functions, found.names, found.shown, mode)


def _flat(found: ResponseTools, where: str, name: object) -> str:
    """The model's name of a function that the client names with or without its namespace."""
    for flat, known in found.names.items():
        if name in (known.name, flat):
            return flat
    raise RequestError(where, name, "must be the name of a function among tools")
