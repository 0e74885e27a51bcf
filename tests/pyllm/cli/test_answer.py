"""How an answer reaches stdout."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from pyllm.cli.answer import print_answer
from pyllm.cli.session import Session
from pyllm.errors import RequestError
from tests.pyllm.cli.fake_llm import FakeLLM


def session_with(*pieces: object) -> tuple[Session, FakeLLM]:
    llm = FakeLLM(list(pieces))
    return Session(Path("m.gguf"), {}, {}, loader=llm.load), llm


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_escapes_a_pipe_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, expected in ((Terminal(), "\\x1b[2Jhi\n"), (io.StringIO(), "\x1b[2Jhi\n")):
        session, _ = session_with("\x1b[2J", "hi")
        monkeypatch.setattr(sys, "stdout", stream)
        print_answer(session, "x", verbose=False)
        assert stream.getvalue() == expected


def test_one_newline_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(session_with("a\n")[0], "x", verbose=False)
    print_answer(session_with("a")[0], "x", verbose=False)
    assert capsys.readouterr().out == "a\na\n"


def test_verbose_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(session_with("a")[0], "x", verbose=True)
    out, err = capsys.readouterr()
    assert out == "a\n"
    assert "prompt eval count:    3 token(s)\n" in err


def test_interrupt_stops_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    session, llm = session_with("par", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        print_answer(session, "x", verbose=True)
    assert llm.streams_ended == 1
    assert capsys.readouterr() == ("par\n", "")


def test_a_refused_question_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    session, _ = session_with(RequestError("prompt", "", "has no tokens"))
    with pytest.raises(RequestError):
        print_answer(session, "", verbose=False)
    assert capsys.readouterr().out == ""
