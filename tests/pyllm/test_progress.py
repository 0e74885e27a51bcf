"""When the bar shows."""

from __future__ import annotations

import io
import sys

import pytest

from pyllm import progress
from pyllm.progress import ProgressBar


class Clock:
    now_s = 100.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def stderr(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_quick_work_shows_nothing(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = stderr(monkeypatch, terminal=True)
    with ProgressBar("loading") as bar:
        bar(1, 2)
        clock.now_s += 0.9
        bar(2, 2)
    assert shown.getvalue() == ""


def test_slow_work_shows_a_bar(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = stderr(monkeypatch, terminal=True)
    monkeypatch.setenv("TERM", "xterm")
    with ProgressBar("loading m.gguf", in_bytes=True) as bar:
        clock.now_s += 1.1
        bar(1 << 20, 4 << 20)
    assert "loading m.gguf" in shown.getvalue()
    assert "1.0/4.0 MiB" in shown.getvalue()


def test_a_file_gets_no_bar(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = stderr(monkeypatch, terminal=False)
    with ProgressBar("loading") as bar:
        clock.now_s += 5
        bar(1, 2)
    assert shown.getvalue() == ""


def test_a_count_is_shown_as_one(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = stderr(monkeypatch, terminal=True)
    monkeypatch.setenv("TERM", "xterm")
    with ProgressBar("generating") as bar:
        clock.now_s += 1.1
        bar(1, 4)
    assert "1/4" in shown.getvalue()


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = stderr(monkeypatch, terminal=True)
    with ProgressBar("generating", shown=False) as bar:
        clock.now_s += 5
        bar(1, 2)
    assert shown.getvalue() == ""
