"""Calls as a heading that names the function, and its arguments as a JSON object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.grammar_text import GrammarText
from pyllm.tool_calls.json_reader import read_object
from pyllm.tool_calls.source import Markers, NotACall, Reading, Source
from pyllm.tool_calls.tools import Function

_BRACE = Markers("{")
_MAX_HEADING = 512


@dataclass(frozen=True, slots=True)
class NamedCalls:
    """
    begin, end     markers around each call
    heading        what a grammar writes between `begin` and the arguments, with {name} for the name
    pattern        what is read there: an expression with a group "name"
    opening_all, closing_all  markers around all calls together; "": none
    separator      what a grammar writes between two calls
    """

    begin: str
    heading: str
    pattern: re.Pattern[str]
    end: str = ""
    opening_all: str = ""
    closing_all: str = ""
    separator: str = ""

    @property
    def opening(self) -> str:
        return self.opening_all or self.begin

    @property
    def triggers(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.opening_all, self.begin)))

    @property
    def markers(self) -> tuple[str, ...]:
        in_heading = re.findall(r"<[^<>\s]+>|\[[A-Z_]+\]", self.heading)
        texts = (self.opening_all, self.begin, *in_heading, self.end.strip(), self.closing_all)
        return tuple(filter(None, texts))

    def read(self, source: Source, calls: CallWriter) -> Reading[None]:
        if self.opening_all:
            yield from source.skips(self.opening_all)
            yield from source.skip_blanks()
        yield from source.expect(self.begin)
        yield from self.read_behind_marker(source, calls)
        if self.closing_all:
            yield from source.skips(self.closing_all)

    def read_behind_marker(self, source: Source, calls: CallWriter) -> Reading[None]:
        """Calls, the first of which has begun."""
        while True:
            yield from self._call(source, calls)
            yield from source.skip_blanks()
            if not (yield from source.skips(self.begin)):
                break

    def _call(self, source: Source, calls: CallWriter) -> Reading[None]:
        heading = yield from source.until(_BRACE, _MAX_HEADING)
        found = self.pattern.fullmatch(heading)
        if not found:
            raise NotACall
        calls.start(found["name"])
        yield from read_object(source, calls.arguments)
        calls.end()
        for part in self.end.split("\n"):  # its blanks are often left out
            yield from source.skip_blanks()
            yield from source.skips(part)

    def write_rules(
        self,
        grammar: GrammarText,
        functions: Mapping[str, Function],
        *,
        parallel: bool,
        is_begun: bool = False,
    ) -> str:
        begin = "" if is_begun and not self.opening_all else self.begin
        calls = []
        for function in functions.values():
            heading = grammar.literal(begin + self.heading.replace("{name}", function.name))
            body = f"{heading} {grammar.json(function.parameters)} {grammar.literal(self.end)}"
            calls.append(grammar.rule(body))
        call = grammar.rule(" | ".join(calls))
        several = parallel and bool(begin)
        more = f"({grammar.literal(self.separator)} {call})*" if several else ""
        opening, closing = map(grammar.literal, (self.opening_all, self.closing_all))
        return f"{'' if is_begun else opening} {call} {more} {closing}"
