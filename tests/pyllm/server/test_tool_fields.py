from __future__ import annotations

from typing import Any

import pytest

from pyllm.errors import RequestError
from pyllm.server.tool_fields import checked_tool

FIELDS = {"parameters": "input_schema"}


def test_a_function_becomes_a_tool() -> None:
    taken: set[str] = set()
    function = {"name": "f", "parameters": {"type": "object"}}
    assert checked_tool(function, "tools[3]", FIELDS, taken) == {
        "type": "function",
        "function": function,
    }
    assert taken == {"f"}


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ({"name": "f", "parameters": {"type": "array"}}, "tools[3].input_schema"),
        ({"name": "a b"}, "tools[3].name"),
        ({"name": "g"}, "tools[3].name"),
    ],
)
def test_what_is_refused_has_the_clients_name(function: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        checked_tool(function, "tools[3]", FIELDS, {"g"})
    assert caught.value.field == field
