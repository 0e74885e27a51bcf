from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pyllm.sampling.params import SamplingParams
from pyllm.server.errors import ApiError
from pyllm.server.events import CallArguments, CallStart, ChoiceEnd, Event, Text
from pyllm.server.openai.responses_job import messages_of
from pyllm.server.openai.responses_protocol import Item, ResponsesRequest
from pyllm.server.openai.responses_tools import tools_of
from pyllm.server.openai.responses_writer import ResponseWriter
from tests.pyllm.server.parts_support import CUT, PROMPT, TEXT, THOUGHT_AND_CALLS, USAGE, run_of


def writer(**fields: Any) -> ResponseWriter:
    body = ResponsesRequest.model_validate({"input": "Hi", **fields})
    tools = tools_of(body.tools or (), body.tool_choice)
    params = SamplingParams(temperature=0.5, max_tokens=None)
    no_tokenizer: Any = None
    return ResponseWriter(body, "1", "demo", tools, params, no_tokenizer)


def whole(events: list[Event], **fields: Any) -> dict[str, Any]:
    response = writer(**fields)
    for event in events:
        response.read(event)
    return response.whole()


def streamed(
    events: list[Event], error: ApiError | None = None, **fields: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The events, and what was kept."""
    kept: list[dict[str, Any]] = []

    async def keep(response: dict[str, Any]) -> None:
        kept.append(response)

    async def collected() -> list[bytes]:
        stream = writer(**fields).stream(run_of(events, error), keep)
        return [chunk async for chunk in stream]

    found = []
    for chunk in asyncio.run(collected()):
        name, data = chunk.decode().strip().split("\n")
        body = json.loads(data.removeprefix("data: "))
        assert name == f"event: {body['type']}"
        assert body["sequence_number"] == len(found)
        found.append(body)
    return found, kept


def types(found: list[dict[str, Any]]) -> list[str]:
    return [body["type"].removeprefix("response.") for body in found]


def test_a_text() -> None:
    response = whole(TEXT, instructions="Be brief.", metadata={"a": "b"})
    assert response["status"] == "completed"
    assert (response["instructions"], response["metadata"]) == ("Be brief.", {"a": "b"})
    message = response["output"][0]
    assert (message["type"], message["role"]) == ("message", "assistant")
    assert message["content"][0]["text"] == "Hello"
    assert response["usage"] == {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 21,
    }
    assert response["temperature"] == 0.5


def test_the_events_of_a_text() -> None:
    found, kept = streamed(TEXT)
    assert types(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[0]["response"]["status"] == "in_progress"
    assert found[0]["response"]["output"] == []
    assert (found[2]["item"]["content"], found[2]["item"]["status"]) == ([], "in_progress")
    assert found[3]["part"]["text"] == ""
    assert [body["delta"] for body in found[4:6]] == ["Hel", "lo"]
    assert found[6]["text"] == found[7]["part"]["text"] == "Hello"
    assert found[8]["item"] == found[9]["response"]["output"][0] == kept[0]["output"][0]
    assert {body["item_id"] for body in found[3:8]} == {found[2]["item"]["id"]}


def test_the_events_of_reasoning_and_calls() -> None:
    found, _ = streamed(THOUGHT_AND_CALLS)
    assert [name for name in types(found) if "delta" not in name] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    output = found[-1]["response"]["output"]
    assert [item["type"] for item in output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert output[0]["content"] == [{"type": "reasoning_text", "text": "Let me look."}]
    assert output[0]["summary"] == []
    call = output[2]
    assert (call["call_id"], call["name"]) == ("call_a", "weather")
    assert json.loads(call["arguments"]) == {"city": "Oslo"}
    assert len({item["id"] for item in output}) == 4
    added = [body["item"] for body in found if body["type"].endswith("item.added")]
    assert added[2]["arguments"] == ""


def test_a_summary_is_the_whole_reasoning() -> None:
    found, _ = streamed(THOUGHT_AND_CALLS, reasoning={"summary": "auto"})
    assert types(found)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    item = found[-1]["response"]["output"][0]
    assert item["summary"] == [{"type": "summary_text", "text": "Let me look."}]
    assert item["content"] == []


def test_sealed_reasoning_can_be_sent_back() -> None:
    response = whole(THOUGHT_AND_CALLS, include=["reasoning.encrypted_content"])
    item = {**response["output"][0], "content": None}
    messages = messages_of(None, [], [Item.model_validate(item)])
    assert messages[0]["reasoning_content"] == "Let me look."


def test_an_answer_that_was_cut_off_is_incomplete() -> None:
    found, kept = streamed(CUT)
    response = found[-1]["response"]
    assert found[-1]["type"] == "response.incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"
    assert kept == [response]


@pytest.mark.parametrize("in_the_run", [True, False])
def test_a_failure_is_an_error_and_a_failed_response(in_the_run: bool) -> None:
    if in_the_run:
        found, kept = streamed([Text(0, "a")], ApiError(504, "too long", "request_timeout"))
        assert found[-2]["code"] == "request_timeout"
    else:
        found, kept = streamed([Text(0, "a"), ChoiceEnd(0, "error", "nonfinite_logits"), USAGE])
    assert types(found)[-2:] == ["error", "failed"]
    response = found[-1]["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert response["output"][0]["content"][0]["text"] == "a"
    assert kept == []


def test_calls_have_the_clients_names() -> None:
    inner = {"type": "function", "name": "weather"}
    tools = [{"type": "namespace", "name": "mcp__sky__", "description": "", "tools": [inner]}]
    events = [CallStart(0, 0, "a", "mcp__sky__weather"), ChoiceEnd(0, "tool_calls", None), USAGE]
    call = whole(events, tools=tools)["output"][0]
    assert (call["namespace"], call["name"]) == ("mcp__sky__", "weather")


def test_a_call_that_was_cut_off_is_incomplete() -> None:
    cut = [
        PROMPT,
        CallStart(0, 0, "call_a", "weather"),
        CallArguments(0, 0, '{"city": '),
        ChoiceEnd(0, "length", None),
        USAGE,
    ]
    found, (response,) = streamed(cut)
    assert response["status"] == "incomplete"
    call = response["output"][0]
    assert (call["type"], call["status"]) == ("function_call", "incomplete")
    assert call["arguments"] == '{"city": '
    assert found[-2]["item"] == call
