"""Calls with one element per argument: Qwen3-Coder's, and those of GLM with keys and values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.formats.parameters import (
    json_of,
    properties_of,
    required_of,
    types_of,
    with_definitions,
)
from pyllm.tool_calls.grammar_text import GrammarText
from pyllm.tool_calls.source import BLANKS, Markers, Reading, Source
from pyllm.tool_calls.tools import Function, Json

_MAX_KEY = 256


@dataclass(frozen=True, slots=True)
class XmlCalls:
    """
    opening, closing  markers around each call; readers do without them where `name` has a start
    name      (before, behind) the function's name
    key       (before, behind) an argument's name
    value     (before, behind) its value; blank lines around it are no part of it
    end       behind the last argument
    space     what is written between the elements: "" or a line break
    around_value  what is written around a value: "" or a line break
    """

    opening: str
    closing: str
    name: tuple[str, str]
    key: tuple[str, str]
    value: tuple[str, str]
    end: str = ""
    space: str = "\n"
    around_value: str = "\n"

    @property
    def triggers(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.opening, self.name[0])))

    @property
    def markers(self) -> tuple[str, ...]:
        texts = (self.opening, *self.name, *self.key, *self.value, self.end, self.closing)
        return tuple(text for text in texts if len(text.strip(BLANKS)) > 1)

    def read(self, source: Source, calls: CallWriter) -> Reading[None]:
        has_opening = yield from source.skips(self.opening)
        yield from source.skip_blanks()
        yield from source.expect(self.name[0])
        behind_name = Markers(self.name[1] or "\n", self.key[0], self.closing)
        name = (yield from source.until(behind_name, _MAX_KEY)).strip(BLANKS)
        yield from source.skips(self.name[1])
        calls.start(name)
        calls.arguments("{")
        yield from self._arguments(source, calls, calls.functions[name])
        calls.arguments("}")
        if self.end:
            yield from source.expect(self.end)
        elif has_opening:
            yield from source.expect(self.closing)
        calls.end()
        if self.end:
            yield from source.skip_blanks()
            yield from source.skips(self.closing)

    def _arguments(self, source: Source, calls: CallWriter, function: Function) -> Reading[None]:
        properties = properties_of(function.parameters)
        behind_key = Markers(self.key[1])
        behind_value = Markers(self.value[1])
        separator = ""
        while True:
            yield from source.skip_blanks()
            if not (yield from source.skips(self.key[0])):
                return
            key = (yield from source.until(behind_key, _MAX_KEY)).strip(BLANKS)
            yield from source.skips(self.key[1])
            if self.value[0]:
                yield from source.skip_blanks()
                yield from source.expect(self.value[0])
            text = _without_lines_around((yield from source.until(behind_value)))
            yield from source.skips(self.value[1])
            value = json_of(text, properties.get(key))
            calls.arguments(f"{separator}{json.dumps(key, ensure_ascii=False)}: {value}")
            separator = ", "

    def write_rules(
        self,
        grammar: GrammarText,
        functions: Mapping[str, Function],
        *,
        parallel: bool,
        is_begun: bool = False,
    ) -> str:
        opening = "" if is_begun else self.opening
        bodies = [self._call(grammar, opening, function) for function in functions.values()]
        call = grammar.rule(" | ".join(map(grammar.rule, bodies)))
        return f'{call} ("\\n"? {call})*' if parallel and not is_begun else call

    def _call(self, grammar: GrammarText, opening: str, function: Function) -> str:
        space = self.space
        before, behind = self.name
        begin = f"{opening}{space if self.end else ''}{before}{function.name}{behind}{space}"
        required = required_of(function.parameters)
        arguments = [
            grammar.rule(self._argument(grammar, key, with_definitions(part, function.parameters)))
            + ("" if key in required else "?")
            for key, part in properties_of(function.parameters).items()
        ]
        end = f"{self.end}{space}{self.closing}" if self.end else self.closing
        return f"{grammar.literal(begin)} {' '.join(arguments)} {grammar.literal(end)}"

    def _argument(self, grammar: GrammarText, key: str, schema: Json) -> str:
        before = "".join((self.key[0], key, self.key[1]))
        if self.value[0]:
            before += self.space + self.value[0]
        begin = grammar.literal(before + self.around_value)
        space = grammar.literal(self.space)
        if "string" not in types_of(schema):
            end = grammar.literal(self.around_value + self.value[1])
            return f"{begin} {grammar.json(schema)} {end} {space}"
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if isinstance(values, list):
            texts = (value if isinstance(value, str) else json.dumps(value) for value in values)
            choice = " | ".join(grammar.literal(text) or '""' for text in texts)
            end = grammar.literal(self.around_value + self.value[1])
            return f"{begin} ({choice}) {end} {space}"
        return f"{begin} {grammar.before(self.value[1])} {space}"


def _without_lines_around(text: str) -> str:
    return text.removeprefix("\n").removesuffix("\n")
