"""`pyllm run`: where the prompt comes from, what is said about it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from pyllm.cli.arguments import CommandLineError, parse
from pyllm.cli.commands import RUN
from pyllm.cli.run import run
from tests.pyllm.cli.fake_llm import FakeLLM


@pytest.fixture(autouse=True)
def stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"", terminal=True)


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes, *, terminal: bool = False) -> None:
    stream = io.TextIOWrapper(io.BytesIO(data))
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stdin", stream)


def started(llm: FakeLLM, *typed: str) -> int:
    parsed = parse(RUN, ["m.gguf", *typed], {})
    values: dict[str, Any] = parsed.values
    return run(Path("m.gguf"), prompt_words=parsed.text, loader=llm.load, **values)


def asked(llm: FakeLLM) -> str:
    (((message,), _),) = llm.asked
    return str(message["content"])


def test_one_shot(fake_llm: FakeLLM, capsys: pytest.CaptureFixture[str]) -> None:
    assert started(fake_llm, "say", "hello") == 0
    assert asked(fake_llm) == "say hello"
    assert capsys.readouterr() == ("Hello!\n", "")
    assert fake_llm.closed == 1


def test_verbose_tells_the_size_of_the_cache(
    fake_llm: FakeLLM, capsys: pytest.CaptureFixture[str]
) -> None:
    started(fake_llm, "--verbose", "hello")
    sizes = "up to 1.5 MiB, 512.0 KiB for the longest text"
    assert f"note: keys and values take {sizes}\n" in capsys.readouterr().err


def test_prompt_flags(fake_llm: FakeLLM, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"\xef\xbb\xbffrom a file\n")
    started(fake_llm, "-f", str(tmp_path / "p.txt"))
    assert asked(fake_llm) == "from a file\n"
    with pytest.raises(CommandLineError, match="more than one prompt"):
        started(fake_llm, "words", "-p", "flag")


def test_stdin_comes_before_the_words(fake_llm: FakeLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, "a tëxt\n".encode())
    started(fake_llm, "summarize")
    assert asked(fake_llm) == "a tëxt\n summarize"


def test_stdin_alone(fake_llm: FakeLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"question")
    started(fake_llm)
    assert asked(fake_llm) == "question"


def test_empty_stdin(fake_llm: FakeLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"")
    with pytest.raises(CommandLineError, match="stdin is empty"):
        started(fake_llm)
    assert fake_llm.loads == []  # found out before the model was loaded
    pipe(monkeypatch, b"")
    started(fake_llm, "words")
    assert asked(fake_llm) == "words"


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\x00", b"caf\xe9"])
def test_stdin_that_is_no_text(
    fake_llm: FakeLLM, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    pipe(monkeypatch, data)
    with pytest.raises(CommandLineError, match=r"stdin is not UTF-8 text \(byte \d"):
        started(fake_llm)


def test_an_empty_prompt_may_be_completed() -> None:
    llm = FakeLLM(template=None)
    started(llm, "--raw", "")
    assert llm.asked[0][0] == {"prompt_token_ids": []}


def test_no_template_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    llm = FakeLLM(template=None)
    started(llm, "Once", "-sys", "be brief")
    assert llm.asked[0][0] == "Once"
    assert capsys.readouterr().err.splitlines() == [
        "pyllm: note: the model has no chat template, so it completes text instead of chatting",
        "pyllm: note: the system message has no effect: it is part of a chat template",
    ]
    started(llm, "--raw", "Once")
    assert capsys.readouterr().err == ""


def test_the_model_is_closed_after_an_interrupt() -> None:
    llm = FakeLLM(["x", KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        started(llm, "hi")
    assert llm.closed == 1


def test_an_answer_cut_by_the_context_is_noted(
    fake_llm: FakeLLM, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_llm.finish_reason = "length"
    started(fake_llm, "hi")
    assert "note: the answer was cut: the context of 6 tokens is full" in capsys.readouterr().err
    started(fake_llm, "hi", "-n", "3")
    assert capsys.readouterr().err == ""
    started(fake_llm, "hi", "-n", "3", "-j", "{}")
    assert "note: the answer was cut: it reached" in capsys.readouterr().err


def test_closed_stdin(fake_llm: FakeLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    started(fake_llm, "words")
    assert asked(fake_llm) == "words"
    with pytest.raises(CommandLineError, match="stdin is empty"):
        started(fake_llm)
