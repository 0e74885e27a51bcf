"""What the parser and the grammar ask of a format of tool calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.grammar_text import GrammarText
from pyllm.tool_calls.source import Reading, Source
from pyllm.tool_calls.tools import Function


class CallFormat(Protocol):
    """How one family of models writes calls."""

    @property
    def opening(self) -> str:
        """What the model writes before a call; empty: nothing, the answer begins with it."""

    @property
    def triggers(self) -> tuple[str, ...]:
        """Texts that begin a call wherever they stand; `opening` is one of them."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Every text of the format that may be a token of its own."""

    def read(self, source: Source, calls: CallWriter) -> Reading[None]:
        """Reads calls from the trigger on. NotACall as soon as it is none."""

    def write_rules(
        self,
        grammar: GrammarText,
        functions: Mapping[str, Function],
        *,
        parallel: bool,
        is_begun: bool = False,
    ) -> str:
        """Adds rules for one or more calls; returns what they are, in Lark.

        is_begun  the opening is written already: what stands behind it
        """
