"""The chat as a person meets it: a real terminal, a real (tiny) model, a real Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pyllm.cli.pseudo_terminal import PseudoTerminal
from tests.pyllm.cli.tiny_model import TEMPLATE, write_tiny_model

LONG = 60_000  # tokens of context: an answer that nobody waits for


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.gguf"
    return write_tiny_model(path, template=TEMPLATE, context=LONG, says="a")


def terminal(tmp_path: Path, *typed: object) -> PseudoTerminal:
    return PseudoTerminal([str(word) for word in typed], XDG_STATE_HOME=str(tmp_path))


def test_a_chat(model: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, "run", model, "-n", "4", "--temp", "0", "--verbose") as screen:
        screen.wait_for(">>> ")
        screen.type("hello\r")
        screen.wait_for("aaaa\r\n")
        screen.wait_for("eval rate:")
        screen.wait_for(">>> ")
        screen.type('"""two\r')
        screen.wait_for("...")
        screen.type('lines"""\r')
        screen.wait_for("prompt eval count:")
        screen.wait_for(">>> ")
        screen.type("\x03")
        screen.wait_for("Use Ctrl-D or /bye to leave.")
        screen.wait_for(">>> ")
        screen.type("/nonsense\r")
        screen.wait_for("error: unknown command '/nonsense'")
        screen.wait_for(">>> ")
        screen.type("/bye\r")
        assert screen.exit_code() == 0
    kept = (tmp_path / "pyllm" / "history").read_text()
    assert "+hello\n" in kept
    assert '+lines"""\n' in kept


def test_interrupt_stops_the_answer_not_the_chat(model: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, "run", model, "--temp", "0", "--no-history") as screen:
        for _ in range(2):
            screen.wait_for(">>> ")
            screen.type("go on\r")
            screen.wait_for("aaa")
            screen.type("\x03\x03\x03")  # impatience must not end the chat
            screen.wait_for("(stopped)")
        screen.wait_for(">>> ")
        screen.type("\x04")
        assert screen.exit_code() == 0
    assert (tmp_path / "pyllm" / "history").read_text() == ""


def test_a_model_cannot_drive_the_terminal(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "esc.gguf", says="\x1b")
    with terminal(tmp_path, "run", path, "--raw", "x", "-n", "3", "--temp", "0") as screen:
        assert screen.wait_for("\n") == "\\x1b\\x1b\\x1b\r\n"
        assert screen.exit_code() == 0


def test_interrupt_of_one_answer_ends_the_program(model: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, "run", model, "go on", "--temp", "0") as screen:
        screen.wait_for("aaa")
        screen.type("\x03")
        assert screen.exit_code() == 130
