"""Chunks of an answer, well-formed and hostile."""

from __future__ import annotations

from typing import Any

import pytest

from pyllm.cli.chat_chunks import ToolCalls, Usage, finish_reason, pieces, usage

HOSTILE: list[Any] = [None, 1, True, "x", [], {}, [None], [[]], {"index": "x"}, 2**70, -1]


def in_delta(name: str, value: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {name: value}}]}


@pytest.mark.parametrize("value", HOSTILE)
def test_fields_of_another_type_are_absent(value: Any) -> None:
    names = ("reasoning", "reasoning_content", "refusal", "tool_calls")
    chunks = [
        {"choices": value, "usage": value},
        {"choices": [value], "usage": {"prompt_tokens": value, "prompt_tokens_details": value}},
        {"choices": [{"delta": value, "finish_reason": value}]},
        *(in_delta(name, value) for name in names),
        in_delta("tool_calls", [value]),
        in_delta("tool_calls", [{"function": value}]),
        in_delta("tool_calls", [{"index": value, "function": {"name": value}}]),
    ]
    calls = ToolCalls()
    for chunk in chunks:
        calls.add(chunk)
        assert all(isinstance(piece.text, str) for piece in pieces(chunk))
        assert finish_reason(chunk) in (None, "x")
        assert usage(chunk) in (None, Usage(), Usage(1))
    assert all(isinstance(line, str) for line in calls.lines())


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert [piece.text for piece in pieces(in_delta("content", "a\ud83d"))] == ["a?"]


def test_several_calls_at_once() -> None:
    calls = ToolCalls()
    for index, text in ((1, "b"), (0, "a"), (1, "c")):
        function = {"name": f"f{index}", "arguments": text}
        calls.add(in_delta("tool_calls", [{"index": index, "function": function}]))
    assert calls.lines() == ["f0(a)", "f1(bc)"]


def test_calls_without_end_are_not_kept() -> None:
    calls = ToolCalls()
    for index in range(1000):
        calls.add(in_delta("tool_calls", [{"index": index, "function": {"name": "f"}}]))
    assert len(calls.lines()) == 128
