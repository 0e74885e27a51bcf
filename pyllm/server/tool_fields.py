"""Functions, and calls of them, for dialects that write them in another shape than OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pyllm.errors import RequestError
from pyllm.tool_calls import ToolRequest


def checked_tool(
    function: Mapping[str, Any], where: str, fields: Mapping[str, str], taken: set[str]
) -> dict[str, Any]:
    """`function` as a tool of chat completions.

    where   it stands in the request
    fields  its fields there, by their names in `function`
    taken   names of functions so far, among them its own from here on
    RequestError names the field as the client wrote it.
    """
    tool = {"type": "function", "function": dict(function)}
    try:
        ToolRequest.of([tool])
    except RequestError as error:
        name = error.field.rpartition(".")[2]
        raise RequestError(
            f"{where}.{fields.get(name, name)}", error.value, error.message
        ) from None
    if function["name"] in taken:
        raise RequestError(f"{where}.{fields.get('name', 'name')}", function["name"], "is taken")
    taken.add(function["name"])
    return tool


def parsed_arguments(text: str) -> dict[str, Any]:
    """Of a call; none when it was cut off by max_tokens, as the answer's stop reason says."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
