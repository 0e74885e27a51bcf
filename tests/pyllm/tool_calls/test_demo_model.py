"""The model that comes along calls tools, and what it writes is understood."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pyllm import LLM, SamplingParams
from pyllm.demo import demo_model
from pyllm.tool_calls import ChatFormat, ToolRequest
from tests.pyllm.tool_calls.support import TOOLS, read, shown

QUESTION = {"role": "user", "content": "What is the weather in Brno?"}


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM(str(demo_model()), max_model_len=512) as llm:
        yield llm


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_question_is_answered_with_a_call(llm: LLM, choice: str) -> None:
    tokenizer = llm.get_tokenizer()
    form = ChatFormat.detect(tokenizer.chat_template, tokenizer)
    request = ToolRequest.of(TOOLS, choice, False)
    plan = form.plan(request, "")
    params = SamplingParams(
        temperature=0,
        max_tokens=100,
        structured_outputs=plan.structured_outputs,
        skip_special_tokens=plan.skip_special_tokens,
    )
    messages = form.prepare_messages([QUESTION])
    (output,) = llm.chat(messages, params, tools=request.definitions, use_tqdm=False)
    text = output.outputs[0].text
    ((name, arguments),) = shown(read(plan.parser("seed"), list(text)))
    assert name == "get_weather"
    assert arguments["city"] == "Brno"
    # The answer goes back with the call's result.
    call = {"id": "call_1", "function": {"name": name, "arguments": json.dumps(arguments)}}
    messages = form.prepare_messages(
        [
            QUESTION,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": '{"temperature": 7}'},
        ]
    )
    (output,) = llm.chat(messages, params, tools=request.definitions, use_tqdm=False)
    assert text in (output.prompt or "")
