"""JSON of a request body, with everything refused that parsers disagree about or that grows."""

from __future__ import annotations

import json
import math
import re
from functools import partial
from typing import Any

from pyllm.errors import printable
from pyllm.server.edge.json_shape import MAX_DIGITS, escapes_removed, json_shape
from pyllm.server.edge.refusal import Refusal
from pyllm.server.off_loop import off_loop

MAX_DEPTH = 64
MAX_CONTAINERS = 100_000  # each costs 64 bytes and more, from two bytes of text
MAX_COMMAS = 1_000_000

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


async def read_json_object(body: bytes) -> dict[str, Any]:
    """parse_json_object, in another thread when the body is long."""
    return await off_loop(partial(parse_json_object, body), len(body))


def parse_json_object(body: bytes) -> dict[str, Any]:
    """The object in `body`. Raises Refusal (400) for anything else.

    Refused beyond what is not JSON: text that is not UTF-8, nesting beyond 64, more than 100 000
    arrays and objects or a million values, a name given twice in one object, NaN and Infinity,
    numbers beyond the range of a double or of more than 100 digits, half of a surrogate pair.
    """
    bare = escapes_removed(body)
    _check_shape(bare)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refusal("invalid_utf8", f"the body is not UTF-8 at byte {error.start}") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise _refusal("invalid_json", f"the body is not JSON: {error.msg} at {place}") from None
    if not isinstance(value, dict):
        raise _refusal("invalid_json", "the body must be a JSON object")
    if _SURROGATE.search(bare) and _has_lone_surrogate(value):
        raise _refusal("invalid_unicode", "the JSON has half of a surrogate pair (\\ud800-\\udfff)")
    return value


def _check_shape(bare: bytes) -> None:
    if not bare:
        raise _refusal("invalid_json", "the body is empty; a JSON object is expected")
    shape = json_shape(bare)
    if shape.depth > MAX_DEPTH:
        raise _refusal("json_too_deep", f"the JSON is nested deeper than {MAX_DEPTH}")
    if shape.containers > MAX_CONTAINERS or shape.commas > MAX_COMMAS:
        text = f"the JSON has more than {MAX_CONTAINERS} arrays and objects or {MAX_COMMAS} values"
        raise _refusal("json_too_large", text)
    if shape.long_number:
        raise _refusal("invalid_number", f"a number has more than {MAX_DIGITS} digits")


def _has_lone_surrogate(value: object) -> bool:
    """Whether a name or a text in `value` cannot be written as UTF-8."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest += item
            rest += item.values()
        elif isinstance(item, list):
            rest += item
        elif isinstance(item, str) and not item.isascii():
            try:
                item.encode()
            except UnicodeEncodeError:
                return True
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _refusal("duplicate_key", f"{_first_duplicate(pairs)} is given twice in one object")
    return found


def _first_duplicate(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return printable(name)
        seen.add(name)
    raise AssertionError("there is no duplicate")


def _refuse_constant(name: str) -> None:
    raise _refusal("invalid_number", f"{name} is not JSON; numbers must be finite")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _refusal("invalid_number", "a number is beyond the range of a double")
    return number


def _refusal(code: str, message: str) -> Refusal:
    return Refusal(400, code, message)
