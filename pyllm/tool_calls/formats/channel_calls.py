"""Calls in gpt-oss's format: messages to functions, each in a channel of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.grammar_text import GrammarText
from pyllm.tool_calls.json_reader import read_object
from pyllm.tool_calls.source import NotACall, Reading, Source
from pyllm.tool_calls.tools import Function

ANALYSIS = "<|channel|>analysis<|message|>"
FINAL = "<|channel|>final<|message|>"
NEXT_MESSAGE = "<|end|><|start|>assistant"


@dataclass(frozen=True, slots=True)
class ChannelCalls:
    """channels.py finds the message that is a call; what is read here is its JSON."""

    opening: str = "<|channel|>commentary to=functions."
    triggers: tuple[str, ...] = ()
    markers: tuple[str, ...] = (
        *("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>"),
        *("<|end|>", "<|call|>", "<|return|>"),
    )

    def read(self, source: Source, calls: CallWriter) -> Reading[None]:
        yield from source.skip_blanks()
        yield from read_object(source, calls.arguments)
        yield from source.skip_blanks()
        if (yield from source.peek()) not in ("<", ""):
            raise NotACall
        calls.end()

    def write_rules(
        self,
        grammar: GrammarText,
        functions: Mapping[str, Function],
        *,
        parallel: bool,  # noqa: ARG002 (the answer ends with its first call)
        is_begun: bool = False,
    ) -> str:
        opening = "" if is_begun else self.opening
        calls = []
        for function in functions.values():
            heading = grammar.literal(f"{opening}{function.name} <|constrain|>json<|message|>")
            calls.append(grammar.rule(f"{heading} {grammar.json(function.parameters)}"))
        return grammar.rule(" | ".join(calls))
