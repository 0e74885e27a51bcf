"""The grammar of an answer: reasoning first, then a call, or the form that was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyllm.errors import RequestError
from pyllm.structured.params import MAX_TEXT, StructuredOutputsParams
from pyllm.structured.schema import read_schema, without_additional_properties
from pyllm.tool_calls.formats.channel_calls import ChannelCalls
from pyllm.tool_calls.grammar_text import GrammarText
from pyllm.tool_calls.reasoning import State
from pyllm.tool_calls.tools import Json, ToolRequest

if TYPE_CHECKING:
    from pyllm.tool_calls.chat_format import ChatFormat


def constraint_of(
    form: ChatFormat, request: ToolRequest, state: State, response: StructuredOutputsParams | None
) -> StructuredOutputsParams | None:
    """None: nothing has to be certain.

    A reasoning block that is open already ends with its marker, and what follows is constrained.
    One that the model may open is part of the grammar, so that an answer without it is too.
    """
    grammar = GrammarText(form.special)
    start = _calls(form, request, grammar, response)
    may_think = form.reasoning is not None and state == "unsaid"
    if start is None and response is not None and may_think:
        start = _text(form, grammar, response)
    after = form.reasoning.end if form.reasoning and state == "open" else None
    if start is None:
        if response is None or response.after is not None or after is None:
            return response
        return replace(response, after=after)
    if form.reasoning and may_think:
        start = f"{_thought(form.reasoning.start, form.reasoning.end, grammar)}? {start}"
    text = grammar.text(start)
    if len(text) > MAX_TEXT:
        limit = f"must have schemas of at most {MAX_TEXT} characters in all"
        raise RequestError("tools", len(text), limit)
    return StructuredOutputsParams(grammar=text, after=after)


def _calls(
    form: ChatFormat,
    request: ToolRequest,
    grammar: GrammarText,
    response: StructuredOutputsParams | None,
) -> str | None:
    """Lark for an answer with calls; None where the model writes them as it likes."""
    calls, functions = form.calls, request.functions
    if calls is None or request.mode == "none":
        return None
    if request.mode == "required":
        return calls.write_rules(grammar, functions, parallel=request.parallel)
    if response is not None:
        text = _text(form, grammar, response)
        if text is None:
            return None
        return f"({calls.write_rules(grammar, functions, parallel=request.parallel)} | {text})"
    is_strict = any(function.is_strict for function in functions.values())
    if not is_strict or not calls.opening or isinstance(calls, ChannelCalls):
        return None  # channels: free text would have to know all of them
    free, head = grammar.terminal(r"/(.|\n)*/"), grammar.before(calls.opening)
    call = calls.write_rules(grammar, functions, parallel=request.parallel, is_begun=True)
    return f"({head} {call}){'*' if request.parallel else '?'} {free}"


def _text(form: ChatFormat, grammar: GrammarText, response: StructuredOutputsParams) -> str | None:
    """Lark for a response in JSON; None for other kinds, which stand alone."""
    if response.kind not in ("json", "json_object"):
        return None
    schema: Json = {"type": "object"}
    if response.kind == "json":
        schema = read_schema("structured_outputs.json", response.json)
    if response.disable_additional_properties:
        schema = without_additional_properties(schema)
    opening = closing = ""
    if form.reasoning and form.reasoning.wrap and form.reasoning.always_wraps:
        opening, closing = map(grammar.literal, form.reasoning.wrap)
    return grammar.rule(f"{opening} {grammar.json(schema, response)} {closing}")


def _thought(start: str, end: str, grammar: GrammarText) -> str:
    blanks = grammar.terminal(r"/[ \t\r\n]{0,4}/")
    return grammar.rule(f"{grammar.literal(start)} {grammar.before(end)} {blanks}")
