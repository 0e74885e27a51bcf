"""Arguments that are written one by one as text: what their JSON is, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyllm.tool_calls.json_reader import is_json
from pyllm.tool_calls.source import BLANKS
from pyllm.tool_calls.tools import Json

_WORDS = {"True": "true", "False": "false", "None": "null"}


def json_of(text: str, schema: Json) -> str:
    """The JSON of an argument that was written as plain text.

    Text is what the schema says it is, as far as it can be: models write strings without quotes.
    """
    types = types_of(schema)
    bare = text.strip(BLANKS)
    if "null" in types and bare in ("null", "None"):
        return "null"
    if types and "string" in types:
        return json.dumps(text, ensure_ascii=False)
    bare = _WORDS.get(bare, bare)
    return bare if is_json(bare) else json.dumps(text, ensure_ascii=False)


def types_of(schema: Json) -> frozenset[str]:
    """The types that a schema allows, as far as it says so at once; empty: any."""
    if not isinstance(schema, Mapping):
        return frozenset()
    given = schema.get("type")
    if isinstance(given, str):
        return frozenset({given})
    if isinstance(given, list):
        return frozenset(filter(lambda item: isinstance(item, str), given))
    values = schema.get("enum", [schema.get("const")])
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return frozenset({"string"})
    for key in ("anyOf", "oneOf"):
        if isinstance(parts := schema.get(key), list):
            return frozenset().union(*map(types_of, parts))
    return frozenset()


def properties_of(schema: Json) -> dict[str, Json]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return dict(properties) if isinstance(properties, Mapping) else {}


def required_of(schema: Json) -> frozenset[str]:
    required = schema.get("required") if isinstance(schema, Mapping) else None
    return frozenset(required) if isinstance(required, list) else frozenset()


def with_definitions(part: Json, whole: Mapping[str, Json]) -> Json:
    """A property's schema on its own: with the definitions that it may refer to."""
    shared = {key: whole[key] for key in ("$defs", "definitions") if key in whole}
    return {**part, **shared} if isinstance(part, Mapping) else part
