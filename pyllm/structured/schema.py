"""JSON schemas on their way to a grammar: read, bounded, and adjusted to the caller's wishes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from pyllm.errors import RequestError
from pyllm.structured.params import MAX_TEXT, StructuredOutputsParams

Json: TypeAlias = Any
# Indented JSON, but no more: small models like to write line breaks until their tokens run out.
WHITESPACE = r"(?:[ \t]{1,2}|(?:\r?\n){1,2}[ \t]{0,40})"
MAX_MULTIPLE = 100_000  # states of the automaton that divides: 0.3 s to build
MAX_PATTERNS = 64  # patternProperties of a schema; every pair is proved disjoint, 0.2 ms each


def read_schema(field: str, value: object) -> Json:
    """A schema given as text or as an object. Raises RequestError for what is not JSON."""
    text = value if isinstance(value, str) else _dumped(field, value)
    if len(text) > MAX_TEXT:
        raise RequestError(field, len(text), f"must have at most {MAX_TEXT} characters")
    try:
        schema = json.loads(text)
    except RecursionError:
        raise RequestError(field, text, "is nested too deeply") from None
    except ValueError as error:
        raise RequestError(field, text, f"is not JSON: {error}") from None
    return schema


def _dumped(field: str, value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    except RecursionError:
        raise RequestError(field, value, "is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        raise RequestError(field, value, f"is not JSON: {error}") from None


def check_cost(field: str, schema: Json) -> None:
    """Refuse the two keywords whose cost llguidance does not bound."""
    multiple, patterns = 1, 0
    for part in _objects(schema):
        if (number := part.get("multipleOf")) is not None:
            multiple = math.lcm(multiple, _digits(number))
            if multiple > MAX_MULTIPLE:
                limit = f"the multiples of a schema may have a common one of {MAX_MULTIPLE} at most"
                raise RequestError(f"{field}.multipleOf", number, limit)
        if isinstance(pattern_properties := part.get("patternProperties"), dict):
            patterns += len(pattern_properties)
            if patterns > MAX_PATTERNS:
                limit = f"a schema may have at most {MAX_PATTERNS} of them"
                raise RequestError(f"{field}.patternProperties", patterns, limit)


def _digits(number: object) -> int:
    """The digits of a number without sign, point and zeros: 125 of 0.0125. 1 for what is none."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return 1  # llguidance says what is wrong
    try:
        digits = Decimal(str(number)).normalize().as_tuple().digits
    except (InvalidOperation, ValueError):  # ValueError: an integer of more than 4300 digits
        return MAX_MULTIPLE + 1
    return max(1, int("".join(map(str, digits))))


def without_additional_properties(schema: Json) -> Json:
    """Objects that list their properties get no others, unless they say so themselves."""
    for part in _objects(schema):
        if "properties" in part or "patternProperties" in part:
            part.setdefault("additionalProperties", False)
    return schema


def _objects(schema: Json) -> Iterator[dict[str, Json]]:
    """Every object in `schema`, which json.loads has limited in depth, without recursion."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def with_options(schema: Json, params: StructuredOutputsParams) -> Json:
    """The schema as llguidance wants it: an object whose "x-guidance" says how to write JSON."""
    if schema is True:
        schema = {}
    if not isinstance(schema, dict):
        return schema
    options: dict[str, Json] = {"whitespace_flexible": False}
    if not params.disable_any_whitespace:
        options["whitespace_pattern"] = params.whitespace_pattern or WHITESPACE
    given = schema.get("x-guidance")
    return {**schema, "x-guidance": options | given if isinstance(given, dict) else options}
