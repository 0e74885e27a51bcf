"""With a grammar, an answer is a call, or a response of the form that was asked for, certainly."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from pyllm import RequestError
from pyllm.structured import StructuredOutputsParams
from pyllm.structured.compiler import GrammarCompiler
from pyllm.tool_calls import ChatFormat, TextPiece, ToolRequest
from pyllm.tool_calls.formats.table import _TABLE
from tests.pyllm.tokenizer.files import CONTROL, USER_DEFINED
from tests.pyllm.tool_calls.support import (
    TOOLS,
    format_of,
    is_valid,
    random_answer,
    read,
    shown,
    tokenizer_for,
    tokenizer_of,
)

RESPONSE = StructuredOutputsParams(
    json={
        "type": "object",
        "properties": {"x": {"type": "integer"}},
        "required": ["x"],
        "additionalProperties": False,
    }
)


def answers(
    form: ChatFormat,
    request: ToolRequest,
    prompt: str = "",
    *,
    seeds: int = 4,
    kind: int = CONTROL,
    **response: Any,
) -> list[list[Any]]:
    """What a model with random weights says, read; only answers that have an end."""
    tokenizer = tokenizer_for(form, kind)
    plan = form.plan(request, prompt, **response)
    assert plan.structured_outputs is not None
    found = []
    for seed in range(seeds):
        text, has_ended = random_answer(tokenizer, plan.structured_outputs, seed)
        if has_ended:
            found.append(shown(read(plan.parser("seed"), list(text))))
    assert found
    return found


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("kind", [CONTROL, USER_DEFINED])
@pytest.mark.parametrize("texts", [texts for texts, _ in _TABLE], ids="+".join)
def test_required_calls_are_calls(texts: tuple[str, ...], kind: int, parallel: bool) -> None:
    form = format_of("tools", *texts, kind=kind)
    for answer in answers(form, ToolRequest.of(TOOLS, "required", parallel), kind=kind):
        calls = [each for each in answer if each[0] != "thinks"]
        assert calls
        assert parallel or len(calls) == 1
        for name, arguments in calls:
            assert is_valid(name, json.dumps(arguments))


def test_a_named_function_is_called_once() -> None:
    request = ToolRequest.of(TOOLS, {"type": "function", "function": {"name": "stop"}})
    assert answers(format_of("tools", "<tool_call>{"), request)[0] == [("stop", {})]


def test_reasoning_may_come_first() -> None:
    form = format_of("tools", "<think>", "<tool_call>{")
    request = ToolRequest.of(TOOLS, "required")
    kinds = set()
    for answer in answers(form, request, seeds=12):
        assert all(isinstance(each, tuple) for each in answer)
        kinds.add(answer[0][0] == "thinks")
    assert kinds == {True, False}
    # The prompt has said that there is none.
    for answer in answers(form, request, "<think>\n\n</think>\n\n"):
        assert answer[0][0] != "thinks"


def test_a_response_follows_reasoning() -> None:
    form = format_of("<think>")
    for answer in answers(form, ToolRequest(), seeds=8, response=RESPONSE):
        assert list(json.loads(answer[-1])) == ["x"]
    plan = form.plan(ToolRequest(), "<think>\n", RESPONSE)
    assert plan.structured_outputs is not None
    assert plan.structured_outputs.after == "</think>"
    assert plan.structured_outputs.json == RESPONSE.json
    assert form.plan(ToolRequest(), "</think>", RESPONSE).structured_outputs is RESPONSE
    regex = StructuredOutputsParams(regex="a+")  # stands alone: nothing is thought before it
    assert form.plan(ToolRequest(), "", regex).structured_outputs is regex


def test_a_response_or_calls() -> None:
    form = format_of("tools", "<tool_call>{")
    is_call = set()
    for answer in answers(form, ToolRequest.of(TOOLS), seeds=12, response=RESPONSE):
        is_call.add(isinstance(answer[0], tuple))
        assert isinstance(answer[0], tuple) or list(json.loads(answer[0])) == ["x"]
    assert is_call == {True, False}


def test_a_response_in_channels() -> None:
    form = format_of("<|channel|>", "<|message|>")
    for answer in answers(form, ToolRequest(), "<|start|>assistant", response=RESPONSE):
        assert list(json.loads(answer[-1])) == ["x"]


@pytest.mark.parametrize("texts", [t for t, f in _TABLE if f.opening], ids="+".join)
def test_strict_tools_bind_only_calls(texts: tuple[str, ...]) -> None:
    if "<|channel|>" in texts:
        pytest.skip("free text in channels is not constrained")
    tools = copy.deepcopy(TOOLS)
    tools[0]["function"]["strict"] = True
    form = format_of("tools", *texts)
    assert form.plan(ToolRequest.of(TOOLS), "").structured_outputs is None
    plan = form.plan(ToolRequest.of(tools), "")
    assert plan.structured_outputs is not None
    tokenizer = tokenizer_for(form)
    assert form.calls is not None
    for prefix in ("", "Hi ", form.calls.opening):
        for seed in range(3):
            text, has_ended = random_answer(tokenizer, plan.structured_outputs, seed, prefix)
            events = shown(read(plan.parser("seed"), list(text)))
            calls = [each for each in events if not isinstance(each, str)]
            assert not has_ended or all(is_valid(n, json.dumps(a)) for n, a in calls)
            assert not has_ended or not prefix.startswith(form.calls.opening) or calls


def test_certain_calls_are_reported_while_they_are_written() -> None:
    form = format_of("tools", "<tool_call>{")
    parser = form.plan(ToolRequest.of(TOOLS, "required"), "").parser("seed")
    assert shown(parser.feed('<tool_call>{"name": "get_weather", "argum')) == [["get_weather", ""]]
    (event,) = parser.feed('ents": {"ci')
    assert getattr(event, "text", "") == '{"ci'
    # max_tokens have come to an end: the call never does, and nothing is said twice.
    assert parser.finish() == []
    assert parser.call_count == 1


def test_tools_that_the_template_does_not_know_are_refused() -> None:
    with pytest.raises(RequestError, match="chat template knows no tools"):
        format_of("nothing").plan(ToolRequest.of(TOOLS), "")


def test_schemas_have_a_limit_together() -> None:
    tools = [
        {"type": "function", "function": {"name": f"f{i}", "parameters": {"title": "x" * 60_000}}}
        for i in range(5)
    ]
    with pytest.raises(RequestError) as caught:
        format_of("tools").plan(ToolRequest.of(tools, "required"), "")
    assert caught.value.field == "tools"


def test_impossible_schemas_are_refused_by_the_compiler() -> None:
    parameters = {"properties": {"a": {"type": "strange"}}, "required": ["a"]}
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    params = format_of("tools").plan(ToolRequest.of(tools, "required"), "").structured_outputs
    assert params is not None
    with pytest.raises(RequestError):
        GrammarCompiler(tokenizer_of([])).compile(params, jump=False)


def test_the_text_of_a_response_stays_text() -> None:
    form = format_of("tools")
    parser = form.plan(ToolRequest.of(TOOLS), "", RESPONSE).parser("seed")
    assert read(parser, ['{"x": ', "1}"]) == [TextPiece('{"x": 1}')]
