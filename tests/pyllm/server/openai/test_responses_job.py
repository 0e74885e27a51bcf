from __future__ import annotations

from typing import Any

import pytest

from pyllm.demo import demo_model
from pyllm.errors import RequestError
from pyllm.sampling.params import RequestOutputKind
from pyllm.server.openai.responses_job import chat_job
from pyllm.server.openai.responses_protocol import Item, ResponsesRequest
from pyllm.server.openai.responses_tools import tools_of
from pyllm.server.service import ChatJob
from pyllm.server.settings import ModelSource, ServerSettings
from pyllm.server.structure import Structure

CALL = {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"}


def job(history: list[dict[str, Any]] | None = None, **fields: Any) -> ChatJob:
    path = demo_model()
    assert path is not None
    body = ResponsesRequest.model_validate({"input": "Hi", **fields})
    before = [Item.model_validate(item) for item in history or ()]
    tools = tools_of(body.tools or (), body.tool_choice)
    return chat_job(body, before, tools, ServerSettings((ModelSource("demo", path),)), {})


def roles(found: ChatJob) -> list[str]:
    return [message["role"] for message in found.messages]


def test_a_text_is_what_the_user_says() -> None:
    assert job().messages == [{"role": "user", "content": "Hi"}]


def test_instructions_and_developers_are_the_system() -> None:
    items = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"role": "user", "content": "Hi"},
    ]
    found = job(input=items, instructions="Be brief.")
    assert found.messages[0] == {"role": "system", "content": "Be brief.\n\nBe kind."}
    assert roles(found) == ["system", "user"]


def test_a_round_of_calls_as_clients_send_it_back() -> None:
    items = [
        {"role": "user", "content": "Weather?"},
        {"type": "reasoning", "id": "rs_1", "summary": [],
         "content": [{"type": "reasoning_text", "text": "I must ask."}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "I ask.", "annotations": []}]},
        {**CALL, "id": "fc_1", "status": "completed", "namespace": "sky"},
        {"type": "function_call_output", "call_id": "a", "output": "sunny"},
    ]  # fmt: skip
    found = job(input=items).messages
    assert roles(job(input=items)) == ["user", "assistant", "tool"]
    assert found[1]["content"] == "I ask."
    assert found[1]["reasoning_content"] == "I must ask."
    assert found[1]["tool_calls"][0]["function"]["name"] == "sky__weather"
    assert found[2] == {"role": "tool", "tool_call_id": "a", "content": "sunny"}


CUT = {**CALL, "call_id": "b", "arguments": '{"ci', "status": "incomplete"}


def test_a_call_that_was_cut_off_was_never_made() -> None:
    before = [{"role": "user", "content": "Weather?"}, CALL, CUT]
    output = {"type": "function_call_output", "call_id": "a", "output": "sunny"}
    found = job(before, input=[output]).messages
    assert [message["role"] for message in found] == ["user", "assistant", "tool"]
    assert [call["id"] for call in found[1]["tool_calls"]] == ["a"]
    only = job([before[0], CUT], input="Go on.").messages
    assert only == [{"role": "user", "content": "Weather?\n\nGo on."}]
    assert job([*before, output], input=[]).messages == found


def test_a_call_that_was_cut_off_has_no_output() -> None:
    output = {"type": "function_call_output", "call_id": "b", "output": "sunny"}
    with pytest.raises(RequestError, match="max_output_tokens") as caught:
        job([CUT], input=[output])
    assert caught.value.field == "input[0].call_id"
    whole = {**CALL, "call_id": "b"}  # some clients number their calls anew in every turn
    assert roles(job([CUT, whole], input=[output])) == ["assistant", "tool"]


def test_what_was_said_before_comes_first() -> None:
    before = [{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}]
    assert roles(job(before, instructions="Be brief.")) == ["system", "user", "assistant", "user"]


def test_reasoning_of_another_service_is_nothing() -> None:
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAAB"}
    found = job(input=[{"role": "user", "content": "Hi"}, foreign])
    assert found.messages[-1].get("reasoning_content", "") == ""


def test_sampling() -> None:
    params = job(temperature=0.5, top_p=0.9, max_output_tokens=7, seed=3, top_k=5).params
    assert (params.temperature, params.top_p, params.max_tokens) == (0.5, 0.9, 7)
    assert (params.seed, params.top_k, params.logprobs) == (3, 5, None)
    assert job().params.max_tokens is None


def test_log_probabilities_are_read_piece_by_piece() -> None:
    assert job().params.output_kind is RequestOutputKind.FINAL_ONLY
    for fields in ({"top_logprobs": 2}, {"include": ["message.output_text.logprobs"]}):
        params = job(**fields).params
        assert params.output_kind is RequestOutputKind.DELTA
        assert params.logprobs == fields.get("top_logprobs", 0)


def test_formats_and_effort() -> None:
    schema = {"type": "json_schema", "name": "a", "schema": {"type": "object"}}
    assert job(text={"format": schema}).structure == Structure(
        "text.format", {"json": {"type": "object"}}
    )
    assert job(text={"format": {"type": "json_object"}}).structure == Structure(
        "text.format", {"json_object": True}
    )
    assert job(text={"format": {"type": "text"}, "verbosity": "low"}).structure is None
    assert job(reasoning={"effort": "none"}).thinking is False
    assert job(reasoning={"effort": "low"}).template_variables["reasoning_effort"] == "low"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
         "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
         "input[0].content[0].text"),
        ({"input": [{"type": "function_call", "call_id": "a"}]}, "input[0].name"),
        ({"input": [{**CALL, "arguments": "[1]"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "output": "a"}]}, "input[0].call_id"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        job(**fields)
    assert caught.value.field == field
