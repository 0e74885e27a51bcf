"""Reasoning and answer are told apart, whatever the pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.tool_calls import ReasoningPiece, TextPiece
from tests.pyllm.tool_calls.support import format_of, parser_of, read, read_all, shown

MARKERS = {
    "<think>": "</think>",
    "[THINK]": "[/THINK]",
    "<seed:think>": "</seed:think>",
    "<mm:think>": "</mm:think>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
}


@pytest.mark.parametrize("start", MARKERS)
def test_a_block_at_the_beginning_is_reasoning(start: str) -> None:
    end = MARKERS[start]
    form = format_of(start, end)
    assert form.supports_thinking
    expected = [ReasoningPiece("I see\n\nit."), TextPiece("Yes. \n")]
    assert read_all(form, f"\n{start}\nI see\n\nit.\n{end}\n\nYes. \n") == expected


@pytest.mark.parametrize("prompt", ["<think>", "…<think>\n", "<think>\n\n"])
def test_a_block_that_the_prompt_has_opened(prompt: str) -> None:
    form = format_of("<think>", "</think>")
    expected = [ReasoningPiece("So."), TextPiece("Yes.")]
    assert read_all(form, "So.\n</think>\nYes.", prompt) == expected
    assert read_all(form, "So. <think>", prompt) == [ReasoningPiece("So. <think>")]


def test_the_end_alone_in_a_template_is_enough() -> None:
    form = format_of("content.split('</think>')[-1]")
    assert read_all(form, "a</think>b", "<think>\n") == [ReasoningPiece("a"), TextPiece("b")]


def test_a_block_that_the_prompt_has_closed() -> None:
    form = format_of("<think>", "</think>")
    text = "\nYes. <think>a</think>"
    assert read_all(form, text, "<think>\n\n</think>\n\n") == [TextPiece(text)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "Yes.",
        " Yes.",
        "<thin",
        "Yes <think>no</think>",
        "</think>",
        "\n" * 3000 + "<think>",
    ],
)
def test_what_has_no_block_at_its_beginning_is_text(text: str) -> None:
    events = read_all(format_of("<think>", "</think>"), text)
    assert events == ([TextPiece(text)] if text else [])


def test_a_block_without_an_end_is_not_lost() -> None:
    form = format_of("<think>", "</think>")
    assert read_all(form, "<think>a </thin") == [ReasoningPiece("a </thin")]


def test_a_template_that_never_thinks() -> None:
    form = format_of("nothing")
    assert not form.supports_thinking
    assert read_all(form, "<think>a</think>b") == [TextPiece("<think>a</think>b")]


def test_markers_around_the_answer_are_left_out() -> None:
    form = format_of("<|START_THINKING|>")
    text = "<|START_THINKING|>a<|END_THINKING|><|START_TEXT|>b<|END_TEXT|>"
    assert read_all(form, text) == [ReasoningPiece("a"), TextPiece("b")]
    text = "<think>a</think>\n<response>b</response>"
    assert read_all(format_of("<think>"), text) == [ReasoningPiece("a"), TextPiece("b")]
    assert read_all(format_of("<think>"), "<response>b") == [TextPiece("<response>b")]


def test_calls_come_behind_reasoning_not_within() -> None:
    form = format_of("tools", "<think>", "<tool_call>{")
    call = '<tool_call>{"name": "stop"}</tool_call>'
    events = shown(read_all(form, f"<think>{call}</think>\n\n{call}"))
    assert events == [("thinks", call), ("stop", {})]


@settings(deadline=None)
@given(st.text(alphabet="<think>/ \na", max_size=60), st.sampled_from(["", "<think>", "</think>"]))
def test_nothing_but_blanks_and_markers_is_lost(text: str, prompt: str) -> None:
    events = read(parser_of(format_of("<think>", "</think>"), prompt), list(text))
    kept = "".join(getattr(event, "text", "") for event in events)
    packed, packed_kept = "".join(text.split()), "".join(kept.split())
    lengths = map(len, ("", "<think>", "</think>", "<think></think>"))
    assert len(packed) - len(packed_kept) in set(lengths)
    assert sorted(packed_kept) == sorted(packed) or "think" in text
