"""Gemma 4's calls: call:name{key:value}, where a token stands for the quotes of strings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.formats.parameters import properties_of, required_of, types_of
from pyllm.tool_calls.grammar_text import GrammarText
from pyllm.tool_calls.json_reader import MAX_DEPTH, is_json
from pyllm.tool_calls.source import BLANKS, Markers, NotACall, Reading, Source
from pyllm.tool_calls.tools import Function, Json

_OPENING, _CLOSING, _QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'
_MAX_WORD = 512  # characters of a name, a key or a number
_BEHIND_NAME, _BEHIND_KEY, _BEHIND_TEXT = Markers("{"), Markers(":"), Markers(_QUOTE)
_BEHIND_WORD = Markers(",", "}", "]", _CLOSING)


@dataclass(frozen=True, slots=True)
class GemmaCalls:
    """Arguments become JSON value by value; grammars write keys in order, as the template does."""

    opening: str = _OPENING
    triggers: tuple[str, ...] = (_OPENING,)
    markers: tuple[str, ...] = (_OPENING, _CLOSING, _QUOTE)

    def read(self, source: Source, calls: CallWriter) -> Reading[None]:
        yield from source.expect(_OPENING)
        yield from source.skip_blanks()
        yield from source.expect("call:")
        name = yield from source.until(_BEHIND_NAME, _MAX_WORD)
        calls.start(name.strip(BLANKS))
        yield from _read_object(source, calls.arguments, 1)
        calls.end()
        yield from source.skip_blanks()
        yield from source.skips(_CLOSING)

    def write_rules(
        self,
        grammar: GrammarText,
        functions: Mapping[str, Function],
        *,
        parallel: bool,
        is_begun: bool = False,
    ) -> str:
        opening = "" if is_begun else _OPENING
        closing = grammar.literal(_CLOSING)
        calls = []
        for function in functions.values():
            heading = grammar.literal(f"{opening}call:{function.name}")
            arguments = _Values(grammar, function.parameters).object_of(function.parameters, 0)
            calls.append(grammar.rule(f"{heading} {arguments} {closing}"))
        call = grammar.rule(" | ".join(calls))
        return f"{call} {call}*" if parallel and not is_begun else call


def _read_value(source: Source, write: Callable[[str], None], depth: int) -> Reading[None]:
    if depth > MAX_DEPTH:
        raise NotACall
    yield from source.skip_blanks()
    first = yield from source.peek()
    if first == "{":
        yield from _read_object(source, write, depth)
    elif first == "[":
        yield from _read_list(source, write, depth)
    elif (yield from source.skips(_QUOTE)):
        text = yield from source.until(_BEHIND_TEXT)
        yield from source.expect(_QUOTE)
        write(json.dumps(text, ensure_ascii=False))
    else:
        word = (yield from source.until(_BEHIND_WORD, _MAX_WORD)).strip(BLANKS)
        write(word if is_json(word) else json.dumps(word, ensure_ascii=False))


def _read_object(source: Source, write: Callable[[str], None], depth: int) -> Reading[None]:
    yield from source.expect("{")
    write("{")
    yield from source.skip_blanks()
    if not (yield from source.skips("}")):
        while True:
            key = (yield from source.until(_BEHIND_KEY, _MAX_WORD)).strip(BLANKS)
            yield from source.expect(":")
            key = key.removeprefix(_QUOTE).removesuffix(_QUOTE)
            write(f"{json.dumps(key, ensure_ascii=False)}: ")
            yield from _read_value(source, write, depth + 1)
            yield from source.skip_blanks()
            if not (yield from source.skips(",")):
                break
            write(", ")
        yield from source.expect("}")
    write("}")


def _read_list(source: Source, write: Callable[[str], None], depth: int) -> Reading[None]:
    yield from source.expect("[")
    write("[")
    yield from source.skip_blanks()
    if not (yield from source.skips("]")):
        while True:
            yield from _read_value(source, write, depth + 1)
            yield from source.skip_blanks()
            if not (yield from source.skips(",")):
                break
            write(", ")
        yield from source.expect("]")
    write("]")


class _Values:
    """Rules for values of one function: types, properties, items and enums of its schema.

    Other keywords are not enforced; llguidance knows them for JSON only.
    """

    def __init__(self, grammar: GrammarText, root: Json) -> None:
        self._grammar = grammar
        self._root = root
        quote = grammar.literal(_QUOTE)
        self._string = grammar.rule(f"{quote} {grammar.before(_QUOTE)}")
        self._integer = grammar.terminal(r"/-?(0|[1-9][0-9]{0,17})/")
        self._number = grammar.terminal(r"/-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?/")
        self._boolean = grammar.rule('"true" | "false"')

    def object_of(self, schema: Json, depth: int) -> str:
        """Properties in the order of their names, each with its comma only if one is before it."""
        required, write = required_of(schema), self._grammar.rule
        begun, empty = write('""'), '""'
        start = write(empty)
        for key, part in sorted(properties_of(schema).items(), reverse=True):
            name = self._grammar.literal(f"{key}:")
            value = self.value_of(part, depth + 1)
            first, later = f"{name} {value} {begun}", f'"," {name} {value} {begun}'
            is_optional = key not in required
            begun, start = (
                write(f"{later} | {begun}" if is_optional else later),
                write(f"{first} | {start}" if is_optional else first),
            )
        return write(f'"{{" {start} "}}"')

    def value_of(self, schema: Json, depth: int) -> str:
        schema = self._resolved(schema)
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if isinstance(values, list) and values:
            return self._grammar.rule(" | ".join(map(self._constant, values)))
        types = types_of(schema) or {"string", "number", "boolean"}
        return self._grammar.rule(
            " | ".join(self._typed(kind, schema, depth) for kind in sorted(types))
        )

    def _typed(self, kind: str, schema: Json, depth: int) -> str:
        if kind == "object":
            if depth >= MAX_DEPTH // 8:  # a schema may refer to itself
                return '"{}"'
            return self.object_of(schema, depth)
        if kind == "array":
            if depth >= MAX_DEPTH // 8:
                return '"[]"'
            item = self.value_of(schema.get("items", {}), depth + 1)
            return self._grammar.rule(f'"[" ({item} ("," {item})*)? "]"')
        plain = {
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": self._boolean,
        }
        return plain.get(kind, '"null"')

    def _constant(self, value: Json) -> str:
        text = f"{_QUOTE}{value}{_QUOTE}" if isinstance(value, str) else json.dumps(value)
        return self._grammar.literal(text)

    def _resolved(self, schema: Json) -> Mapping[str, Json]:
        """What "$ref" refers to, as far as it is a definition of this schema."""
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if isinstance(reference, str) and reference.startswith("#/"):
            found = self._root
            for name in reference[2:].split("/"):
                found = found.get(name) if isinstance(found, Mapping) else None
            schema = found
        return schema if isinstance(schema, Mapping) else {}
