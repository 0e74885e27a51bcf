"""The shipped model, through pyllm: its template writes what it was trained on, and it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.demo.corpus.chat_format import prompt
from models.demo.evaluate import held_out_cases
from models.demo.tokens import BOS, Tokens
from pyllm import LLM, SamplingParams

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "models" / "pyllm-demo-Q8_0.gguf"
GREEDY = SamplingParams(temperature=0.0, max_tokens=200)


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM(MODEL, num_threads=1) as llm:
        yield llm


def answer(llm: LLM, *turns: str, **options: Any) -> str:
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
    (output,) = llm.chat(messages, GREEDY, **options)
    assert output.outputs[0].finish_reason == "stop"
    return output.outputs[0].text


def test_it_is_small() -> None:
    assert MODEL.stat().st_size <= 12_000_000


def test_the_template_and_tokenizer_write_the_training_text(llm: LLM) -> None:
    tokens = Tokens(ROOT / "models" / "demo" / "tokenizer.model")
    for case in held_out_cases(3):
        options = {"tools": case.tools} if case.tools else {}
        one = SamplingParams(temperature=0.0, max_tokens=1)
        (output,) = llm.chat(case.messages[:-1], one, **options)
        assert output.prompt_token_ids == [BOS, *tokens.encode(prompt(case))]


def test_it_answers_nine_in_ten_held_out_cases_of_a_small_sample(llm: LLM) -> None:
    cases = [case for case in held_out_cases(4) if not case.tools]
    outputs = llm.chat([case.messages[:-1] for case in cases], GREEDY)
    right = [c.check.accepts(o.outputs[0].text) for c, o in zip(cases, outputs, strict=True)]
    assert sum(right) >= 0.9 * len(cases)


def test_it_adds(llm: LLM) -> None:
    assert answer(llm, "What is 3 + 4?") == "3 + 4 = 7."


def test_it_remembers(llm: LLM) -> None:
    turns = ("Hi, I'm Mira.", "Nice to meet you, Mira!", "What is my name?")
    assert answer(llm, *turns) == "Your name is Mira."


def test_it_writes_json(llm: LLM) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    text = (
        f"Extract the data as JSON with this schema: {json.dumps(schema)}\nMeet Lena. Lena is 31."
    )
    assert json.loads(answer(llm, text)) == {"name": "Lena", "age": 31}


def test_it_calls_a_tool(llm: LLM) -> None:
    function = {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    tools = [{"type": "function", "function": function}]
    called = answer(llm, "What is the weather in Oslo?", tools=tools)
    call = called.removeprefix("<tool_call>").removesuffix("</tool_call>")
    assert json.loads(call) == {"name": "get_weather", "arguments": {"city": "Oslo"}}


def test_it_says_what_it_does_not_know(llm: LLM) -> None:
    assert "very small model" in answer(llm, "Who was Marie Curie?")
