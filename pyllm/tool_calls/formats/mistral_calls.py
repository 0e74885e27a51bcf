"""Mistral's calls: a list of JSON objects in the older models, name and arguments since 2025."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.formats.json_calls import JsonCalls
from pyllm.tool_calls.formats.named_calls import NamedCalls
from pyllm.tool_calls.grammar_text import GrammarText
from pyllm.tool_calls.source import Reading, Source
from pyllm.tool_calls.tools import Function

_MARKER = "[TOOL_CALLS]"
_NAMED = NamedCalls(
    begin=_MARKER,
    heading="{name}[ARGS]",
    pattern=re.compile(
        r"\s*(?P<name>[\w.-]+)\s*(?:\[CALL_ID\]\s*\w*\s*)?(?:\[ARGS\]\s*)?", re.ASCII
    ),
)


@dataclass(frozen=True, slots=True)
class MistralCalls:
    """Readers take both; `is_named` says which one a grammar writes."""

    is_named: bool
    space: str = ""
    opening: str = _MARKER
    triggers: tuple[str, ...] = (_MARKER,)
    markers: tuple[str, ...] = (_MARKER, "[CALL_ID]", "[ARGS]")

    def read(self, source: Source, calls: CallWriter) -> Reading[None]:
        yield from source.expect(_MARKER)
        yield from source.skip_blanks()
        if (yield from source.peek()) in tuple("[{"):
            yield from JsonCalls().read(source, calls)
        else:
            yield from _NAMED.read_behind_marker(source, calls)

    def write_rules(
        self,
        grammar: GrammarText,
        functions: Mapping[str, Function],
        *,
        parallel: bool,
        is_begun: bool = False,
    ) -> str:
        listed = JsonCalls(_MARKER, listed=True, space=self.space)
        form = _NAMED if self.is_named else listed
        return form.write_rules(grammar, functions, parallel=parallel, is_begun=is_begun)
