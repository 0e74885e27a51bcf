"""Limits of what one answer may hold, and when its parts come out."""

from __future__ import annotations

import re

from pyllm.tool_calls import TextPiece, ToolCallArguments, ToolCallStart
from pyllm.tool_calls.call_writer import MAX_CALLS
from pyllm.tool_calls.source import MAX_CALL_CHARS
from tests.pyllm.tool_calls.support import format_of, parser_of, read, read_all, shown

STOP = '<tool_call>{"name": "stop"}</tool_call>'
HERMES = ("tools", "<tool_call>{")


def test_text_comes_out_as_soon_as_it_is_certain() -> None:
    parser = parser_of(format_of(*HERMES))
    assert parser.feed("Hello ") == [TextPiece("Hello")]
    assert parser.feed("you <to") == [TextPiece(" you")]
    assert parser.feed("ol") == []
    assert parser.feed("s") == [TextPiece(" <tools")]
    assert parser.finish() == []


def test_without_tools_nothing_is_held_back() -> None:
    parser = parser_of(format_of(*HERMES), tool_choice="none")
    assert parser.feed("a \n") == [TextPiece("a \n")]
    assert parser.feed("<tool_call>") == [TextPiece("<tool_call>")]
    assert parser.finish() == []


def test_a_call_comes_out_when_it_is_whole() -> None:
    parser = parser_of(format_of(*HERMES))
    assert parser.feed(STOP[:-13]) == []
    assert shown(parser.feed("}")) == [("stop", {})]
    assert parser.call_count == 1
    assert parser.feed("</tool_call>") == []


def test_too_many_calls_are_text() -> None:
    events = shown(read(parser_of(format_of(*HERMES)), [STOP * (MAX_CALLS + 2)]))
    assert events == [("stop", {})] * MAX_CALLS + [STOP * 2]


def test_a_call_that_is_too_long_is_text() -> None:
    text = '<tool_call>{"name": "stop", "arguments": {"a": "' + "x" * MAX_CALL_CHARS + '"}}'
    assert read(parser_of(format_of(*HERMES)), [text]) == [TextPiece(text)]
    pieces = [text[at : at + 10_000] for at in range(0, len(text), 10_000)]
    assert read(parser_of(format_of(*HERMES)), pieces) == [TextPiece(text)]


def test_hostile_text_is_read_once() -> None:
    # Each would take minutes if all that came before were looked at again for every piece.
    for text in ("<tool_call>" * 9_000, "<" * 90_000, "\n" * 90_000, '<tool_call>{"a' * 9_000):
        for pieces in ([text], re.findall(r"(?s).{1,7}", text)):
            assert read(parser_of(format_of(*HERMES)), pieces) == [TextPiece(text)]
    keys = '{"name": "stop", ' + '"a": 1, ' * 20_000 + '"b": 2}'
    assert shown(read(parser_of(format_of("tools")), [keys])) == [("stop", {})]


def test_ids_are_a_function_of_the_seed_and_the_index() -> None:
    form = format_of(*HERMES)
    first = [e for e in read_all(form, STOP * 2) if isinstance(e, ToolCallStart)]
    assert first == [e for e in read_all(form, STOP * 2) if isinstance(e, ToolCallStart)]
    assert len({event.id for event in first}) == 2
    assert all(re.fullmatch(r"call_[0-9A-Za-z]{24}", event.id) for event in first)
    mistral = read_all(format_of("tools", "[TOOL_CALLS]"), '[TOOL_CALLS][{"name": "stop"}]')
    assert isinstance(mistral[0], ToolCallStart)
    assert re.fullmatch(r"[0-9A-Za-z]{9}", mistral[0].id)
    assert mistral[1] == ToolCallArguments(0, "{}")


def test_nothing_follows_the_end() -> None:
    parser = parser_of(format_of(*HERMES))
    parser.finish()
    assert parser.feed("more") == []
    assert parser.finish() == []
