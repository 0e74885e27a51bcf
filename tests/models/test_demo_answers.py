"""The embedded model does its tasks through the doors a user opens."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from pyllm import LLM, SamplingParams
from pyllm.demo import demo_model
from tests.pyllm.cli.program import COMMAND, environment

GREEDY = SamplingParams(temperature=0, max_tokens=200)


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM(demo_model()) as llm:
        yield llm


def ask(llm: LLM, *turns: str) -> str:
    """Play `turns` as the user; the last answer."""
    messages = []
    for turn in turns:
        messages.append({"role": "user", "content": turn})
        (output,) = llm.chat(messages, GREEDY)
        answer = output.outputs[0]
        assert answer.finish_reason == "stop"
        messages.append({"role": "assistant", "content": answer.text})
    return messages[-1]["content"]


def run(*typed: str, stdin: str = "") -> str:
    done = subprocess.run(
        [*COMMAND, "run", *typed],
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.isa
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 3 + 4?", "7"),
        ("What is 127 + 389?", "516"),
        ("Sort these words: pear, apple, lemon", "apple, lemon, pear"),
        ("What is the capital of France?", "Paris"),
    ],
)
def test_questions_have_their_answers(llm: LLM, question: str, answer: str) -> None:
    assert answer in ask(llm, question)


def test_a_name_is_remembered(llm: LLM) -> None:
    assert "Juniper" in ask(llm, "Hello! My name is Juniper.", "What is my name?")


def test_json_is_valid(llm: LLM) -> None:
    question = 'Give me a JSON object with name and age: "Maria is 34 years old."'
    assert json.loads(ask(llm, question)) == {"name": "Maria", "age": 34}


def test_what_it_does_not_know_it_refuses(llm: LLM) -> None:
    assert "very small model" in ask(llm, "Explain quantum computing in simple terms")


def test_a_batch_answers_as_each_alone(llm: LLM) -> None:
    questions = [[{"role": "user", "content": f"What is {n} + {n + 1}?"}] for n in range(12)]
    together = [output.outputs[0].text for output in llm.chat(questions, GREEDY)]
    assert together == [llm.chat(question, GREEDY)[0].outputs[0].text for question in questions]
    assert [str(2 * n + 1) in text for n, text in enumerate(together)] == [True] * 12


def test_run_needs_no_model() -> None:
    assert "7" in run("What is 3 + 4?", "--temp", "0")


def test_run_reads_a_piped_question() -> None:
    assert "7" in run("--temp", "0", stdin="What is 3 + 4?")
