"""Text of a model or a file must not drive the terminal."""

from __future__ import annotations

import io

import pytest

from pyllm.cli.terminal import escape_controls, is_terminal, note, one_line, print_error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain – ünïcode 東京 👩‍👩‍👧\u00a0\u200d", "plain – ünïcode 東京 👩‍👩‍👧\u00a0\u200d"),
        ("a\n\tb", "a\n\tb"),
        ("a\r\nb", "a\nb"),
        ("safe\rEVIL", "safe\\rEVIL"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("\x9b31m\x7f\x00\x08", "\\x9b31m\\x7f\\x00\\x08"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("name\udcff", "name\\xff"),
    ],
)
def test_controls_become_visible(text: str, expected: str) -> None:
    assert escape_controls(text) == expected


def test_every_control_character_is_escaped() -> None:
    for code in [*range(32), *range(127, 160)]:
        shown = escape_controls(chr(code))
        assert shown in ("\n", "\t") or shown.isprintable(), hex(code)


def test_messages_stay_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    note("a\nb")
    print_error("c\n\x1b[2J")
    assert capsys.readouterr().err == "pyllm: note: a\\nb\npyllm: error: c\\n\\x1b[2J\n"
    assert one_line("a\tb") == "a\\tb"


def test_files_are_no_terminals() -> None:
    closed = io.StringIO()
    closed.close()
    assert not is_terminal(io.StringIO())
    assert not is_terminal(closed)
    assert not is_terminal(None)
