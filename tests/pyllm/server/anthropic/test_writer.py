from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pyllm.server.anthropic.writer import MessageWriter
from pyllm.server.errors import ApiError
from pyllm.server.events import CallArguments, CallStart, ChoiceEnd, Event, Text
from tests.pyllm.server.parts_support import CUT, TEXT, THOUGHT_AND_CALLS, USAGE, run_of


def writer(**options: Any) -> MessageWriter:
    return MessageWriter("demo", "1", **{"prompt_tokens": 12, "max_tokens": 9, **options})


def whole(events: list[Event], **options: Any) -> dict[str, Any]:
    message = writer(**options)
    for event in events:
        message.answer.read(event)
    return message.whole()


def streamed(
    events: list[Event], error: ApiError | None = None, **options: Any
) -> list[dict[str, Any]]:
    async def collected() -> list[bytes]:
        return [chunk async for chunk in writer(**options).stream(run_of(events, error))]

    found = []
    for chunk in asyncio.run(collected()):
        name, data = chunk.decode().strip().split("\n")
        body = json.loads(data.removeprefix("data: "))
        assert name == f"event: {body['type']}"
        found.append(body)
    return found


def test_a_text() -> None:
    message = whole(TEXT)
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert message["usage"]["input_tokens"] == 8
    assert message["usage"]["cache_read_input_tokens"] == 4
    assert message["usage"]["output_tokens"] == 9


def test_thinking_text_and_calls_in_their_order() -> None:
    message = whole(THOUGHT_AND_CALLS)
    assert [block["type"] for block in message["content"]] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    thought, _, call, _ = message["content"]
    assert thought["thinking"] == "Let me look."
    assert thought["signature"]
    assert call == {
        "type": "tool_use",
        "id": "call_a",
        "name": "weather",
        "input": {"city": "Oslo"},
    }
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("end", "max_tokens", "reason", "sequence"),
    [
        (ChoiceEnd(0, "stop", 2), 9, "end_turn", None),
        (ChoiceEnd(0, "stop", "END"), 9, "stop_sequence", "END"),
        (ChoiceEnd(0, "length", None), 9, "max_tokens", None),
        (ChoiceEnd(0, "length", None), 10, "model_context_window_exceeded", None),
    ],
)
def test_why_it_stopped(end: ChoiceEnd, max_tokens: int, reason: str, sequence: str | None) -> None:
    message = whole([Text(0, "a"), end, USAGE], max_tokens=max_tokens)
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)


def test_arguments_that_were_cut_off_are_none() -> None:
    events: list[Event] = [
        CallStart(0, 0, "a", "weather"),
        CallArguments(0, 0, '{"city": "Os'),
        ChoiceEnd(0, "length", None),
        USAGE,
    ]
    message = whole(events)
    assert message["content"][0]["input"] == {}
    assert message["stop_reason"] == "max_tokens"


def test_the_events_of_a_text() -> None:
    found = streamed(TEXT)
    assert [body["type"] for body in found] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start = found[0]["message"]
    assert start["content"] == []
    assert start["stop_reason"] is None
    assert start["usage"]["input_tokens"] == 12
    assert found[1]["content_block"] == {"type": "text", "text": ""}
    assert found[2]["delta"] == {"type": "text_delta", "text": "Hel"}
    assert found[5]["delta"]["stop_reason"] == "end_turn"
    assert found[5]["usage"] == whole(TEXT)["usage"]


def test_the_events_of_every_kind_of_block() -> None:
    found = streamed(THOUGHT_AND_CALLS)
    blocks = [body["content_block"] for body in found if body["type"] == "content_block_start"]
    assert [block["type"] for block in blocks] == ["thinking", "text", "tool_use", "tool_use"]
    assert blocks[0] == {"type": "thinking", "thinking": "", "signature": ""}
    assert blocks[2]["input"] == {}
    deltas = [
        (body["index"], body["delta"]) for body in found if body["type"] == "content_block_delta"
    ]
    assert [delta["type"] for index, delta in deltas if index == 0] == [
        "thinking_delta",
        "thinking_delta",
        "signature_delta",
    ]
    arguments = "".join(delta["partial_json"] for index, delta in deltas if index == 2)
    assert json.loads(arguments) == {"city": "Oslo"}
    signature = next(delta["signature"] for _, delta in deltas if "signature" in delta)
    assert signature == whole(THOUGHT_AND_CALLS)["content"][0]["signature"]
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


def test_thinking_may_be_left_out() -> None:
    found = streamed(THOUGHT_AND_CALLS, shows_thinking=False)
    assert "Let me" not in json.dumps(found)
    assert any(body.get("delta", {}).get("type") == "signature_delta" for body in found)
    assert whole(THOUGHT_AND_CALLS, shows_thinking=False)["content"][0]["thinking"] == ""


def test_an_error_is_the_last_event() -> None:
    error = ApiError(504, "the request took longer than it may", "request_timeout")
    found = streamed(CUT[:2], error)
    assert found[-1]["error"]["type"] == "timeout_error"
    failed = streamed([Text(0, "a"), ChoiceEnd(0, "error", "nonfinite_logits"), USAGE])
    assert failed[-1]["type"] == "error"
    assert failed[-1]["error"]["type"] == "api_error"
