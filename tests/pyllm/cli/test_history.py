"""The file of earlier messages."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from prompt_toolkit.history import InMemoryHistory

from pyllm.cli.history import SwitchableHistory, history_path, open_history


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_place(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert history_path() == state / "pyllm" / "history"
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(state))
    assert history_path() == state / ".local/state/pyllm/history"


def test_only_the_owner_reads_it(state: Path) -> None:
    history = open_history(enabled=True)
    history.store_string("a secret")
    assert stat.S_IMODE(history_path().stat().st_mode) == 0o600
    assert list(open_history(enabled=True).load_history_strings()) == ["a secret"]


def test_it_can_be_switched_off(state: Path) -> None:
    history = open_history(enabled=False)
    history.store_string("not kept")
    assert isinstance(history, SwitchableHistory)
    history.enabled = True
    history.store_string("kept")
    assert list(history.load_history_strings()) == ["kept"]


def test_unwritable_place(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "pyllm").write_text("a file where the directory should be")
    assert isinstance(open_history(enabled=True), InMemoryHistory)
    assert "note: no history is kept" in capsys.readouterr().err
