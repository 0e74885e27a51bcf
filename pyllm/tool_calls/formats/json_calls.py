"""Calls as JSON objects: {"name": …, "arguments": {…}}, alone or in a list, between markers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.grammar_text import GrammarText
from pyllm.tool_calls.json_reader import is_json_object, read_name, read_object, read_value
from pyllm.tool_calls.source import BLANKS, NotACall, Reading, Source
from pyllm.tool_calls.tools import Function, Json

_NAMES = frozenset({"name", "tool_name"})
_ARGUMENTS = frozenset({"arguments", "parameters"})


@dataclass(frozen=True, slots=True)
class JsonCalls:
    """Whatever a model was taught, readers take lists and single objects, and keys in any order.

    opening, closing  markers around a call, or around the list; closing "" has none
    also              further texts that may begin a call
    listed            calls are written as a list
    name, arguments   the keys; None: the name itself is the key of the arguments
    space             what is written between marker and JSON
    """

    opening: str = ""
    closing: str = ""
    also: tuple[str, ...] = ()
    listed: bool = False
    name: str | None = "name"
    arguments: str = "arguments"
    space: str = ""

    @property
    def triggers(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.opening, *self.also)))

    @property
    def markers(self) -> tuple[str, ...]:
        return tuple(filter(None, (*self.triggers, self.closing)))

    def read(self, source: Source, calls: CallWriter) -> Reading[None]:
        for trigger in sorted(self.triggers, key=len, reverse=True):
            if (yield from source.skips(trigger)):
                break
        yield from source.skip_blanks()
        if (yield from source.skips("[")):
            yield from self._list(source, calls)
        else:
            yield from self._call(source, calls)
            yield from self._further_calls(source, calls)
        if self.closing:
            yield from source.skip_blanks()
            yield from source.skips(self.closing)

    def _list(self, source: Source, calls: CallWriter) -> Reading[None]:
        while True:
            yield from source.skip_blanks()
            yield from self._call(source, calls)
            yield from source.skip_blanks()
            if not (yield from source.skips(",")):
                break
        yield from source.expect("]")

    def _further_calls(self, source: Source, calls: CallWriter) -> Reading[None]:
        """Llama writes several objects with ";" between them, or nothing."""
        while True:
            yield from source.skip_blanks()
            separator = (yield from source.peek()) in tuple(";,")
            if separator:
                source.take(1)
                yield from source.skip_blanks()
            if (yield from source.peek()) == "{":
                yield from self._call(source, calls)
            elif separator:
                raise NotACall
            else:
                return

    def _call(self, source: Source, calls: CallWriter) -> Reading[None]:
        yield from source.expect("{")
        reader = _ObjectReader(source, calls, named_by_key=self.name is None)
        yield from reader.read()

    def write_rules(
        self,
        grammar: GrammarText,
        functions: Mapping[str, Function],
        *,
        parallel: bool,
        is_begun: bool = False,
    ) -> str:
        calls = [grammar.rule(self._object(grammar, function)) for function in functions.values()]
        call = grammar.rule(" | ".join(calls))
        opening = grammar.literal(("" if is_begun else self.opening) + self.space)
        closing = grammar.literal(self.space + self.closing if self.closing else "")
        if self.listed:
            more = f'(", " {call})*' if parallel else ""
            return grammar.rule(f'{opening} "[" {call} {more} "]" {closing}')
        whole = grammar.rule(f"{opening} {call} {closing}")
        separator = '"\\n"' if self.opening else '"; "'
        return (
            grammar.rule(f"{whole} ({separator}? {whole})*") if parallel and not is_begun else whole
        )

    def _object(self, grammar: GrammarText, function: Function) -> str:
        name = json.dumps(function.name)
        begin = f"{{{name}: "
        if self.name is not None:
            begin = f'{{"{self.name}": {name}, "{self.arguments}": '
        return f'{grammar.literal(begin)} {grammar.json(function.parameters)} "}}"'


class _ObjectReader:
    """One object behind its "{". Arguments that come before the name wait for it."""

    def __init__(self, source: Source, calls: CallWriter, *, named_by_key: bool) -> None:
        self._source = source
        self._calls = calls
        self._named_by_key = named_by_key
        self._is_started = False
        self._has_arguments = False
        self._early: list[str] = []

    def read(self) -> Reading[None]:
        source = self._source
        while True:
            yield from source.skip_blanks()
            key = yield from read_name(source)
            yield from source.skip_blanks()
            yield from source.expect(":")
            yield from source.skip_blanks()
            yield from self._member(key)
            yield from source.skip_blanks()
            if not (yield from source.skips(",")):
                break
        yield from source.expect("}")
        if not self._is_started:
            raise NotACall
        if not self._has_arguments:
            self._calls.arguments("{}")
        self._calls.end()

    def _member(self, key: str) -> Reading[None]:
        if self._named_by_key and not self._is_started:
            self._start(key)
            yield from self._arguments()
        elif key in _NAMES and not self._is_started:
            self._start((yield from read_name(self._source)))
        elif key in _ARGUMENTS and not self._has_arguments:
            yield from self._arguments()
        else:
            yield from read_value(self._source, _ignore)

    def _start(self, name: str) -> None:
        self._calls.start(name)
        self._is_started = True
        for text in self._early:
            self._calls.arguments(text)

    def _arguments(self) -> Reading[None]:
        """An object, the text of one, or nothing at all."""
        self._has_arguments = True
        write = self._calls.arguments if self._is_started else self._early.append
        if (yield from self._source.peek()) == "{":
            yield from read_object(self._source, write)
            return
        parts: list[str] = []
        yield from read_value(self._source, parts.append)
        write(_object_text("".join(parts)))


def _ignore(_text: str) -> None:
    """What other keys of a call say is of no use."""


def _object_text(text: str) -> str:
    value: Json = None
    if text != "null":
        if not text.startswith('"'):
            raise NotACall
        value = json.loads(text)
    inner = (value or "").strip(BLANKS)
    if inner and not is_json_object(inner):
        raise NotACall
    return inner or "{}"
