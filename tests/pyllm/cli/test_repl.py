"""The chat, typed by a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyllm.cli.repl import chat
from pyllm.cli.session import Session
from pyllm.cli.slash import ChatState
from pyllm.errors import ContextLengthError, RequestError
from tests.pyllm.cli.fake_llm import FakeLLM


def state_of(llm: FakeLLM) -> ChatState:
    return ChatState(Session(Path("m.gguf"), {}, {}, loader=llm.load))


def typed(state: ChatState, *script: Any) -> list[str]:
    """Runs the chat on lines and exceptions; returns the prompts it showed."""
    prompts = []
    lines = iter(script)

    def read_line(prompt: str) -> str:
        prompts.append(prompt)
        line = next(lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return str(line)

    chat(state, read_line)
    assert next(lines, None) is None, "the chat ended early"
    return prompts


def asked(llm: FakeLLM) -> list[str]:
    return [prompt[-1]["content"] for prompt, _ in llm.asked]


def test_messages_are_answered_until_the_end(
    fake_llm: FakeLLM, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(state_of(fake_llm), "hi", "", "   ", "more")
    assert asked(fake_llm) == ["hi", "more"]
    assert capsys.readouterr() == ("Hello!\nHello!\n", "\n\n")


@pytest.mark.parametrize("word", ["/bye", "/exit"])
def test_leaving(fake_llm: FakeLLM, word: str) -> None:
    assert typed(state_of(fake_llm), word) == [">>> "]


def test_multi_line_messages(fake_llm: FakeLLM) -> None:
    prompts = typed(state_of(fake_llm), '"""one', "/bye", 'two"""')
    assert asked(fake_llm) == ["one\n/bye\ntwo"]
    assert prompts == [">>> ", "... ", "... ", ">>> "]


def test_interrupts_do_not_end_the_chat(
    fake_llm: FakeLLM, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = typed(state_of(fake_llm), KeyboardInterrupt(), '"""half', KeyboardInterrupt(), "hi")
    assert prompts == [">>> ", ">>> ", "... ", ">>> ", ">>> "]
    assert asked(fake_llm) == ["hi"]
    assert capsys.readouterr().err.count("Use Ctrl-D or /bye to leave.") == 1


def test_interrupted_answer(capsys: pytest.CaptureFixture[str]) -> None:
    llm = FakeLLM(["par", KeyboardInterrupt()])
    state = state_of(llm)
    typed(state, "hi", "again")
    assert asked(llm) == ["hi", "again"]
    assert capsys.readouterr() == ("par\npar\n", "(stopped)\n(stopped)\n")
    assert state.session.messages[1] == {"role": "assistant", "content": "par"}


def test_failures_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    llm = FakeLLM([RequestError("stop", "\x1b[2J", "must not be empty")])
    typed(state_of(llm), "hi", "/nonsense", "/set parameter temperature hot")
    assert capsys.readouterr().err.splitlines() == [
        "error: stop: '\\x1b[2J': must not be empty",
        "error: unknown command '/nonsense'; /? lists the commands",
        "error: temperature: 'hot' is not a number; allowed: 0 or more",
    ]


def test_a_full_context_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    typed(state_of(FakeLLM([ContextLengthError(600, 512)])), "hi")
    err = capsys.readouterr().err
    assert "600 tokens" in err
    assert err.endswith("; /clear starts anew\n")


def test_a_cut_answer_says_why(fake_llm: FakeLLM, capsys: pytest.CaptureFixture[str]) -> None:
    fake_llm.finish_reason = "length"
    state = state_of(fake_llm)
    typed(state, "hi")
    assert "(the answer was cut: the context of 6 tokens is full)" in capsys.readouterr().err
    state.session.sampling["max_tokens"] = 3
    typed(state, "hi")
    assert "(the answer was cut: it reached the limit of 3 tokens)" in capsys.readouterr().err
