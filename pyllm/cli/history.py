"""What was typed in earlier sessions, kept in the user's state directory."""

from __future__ import annotations

import os
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from pyllm.cli.terminal import note

__all__ = ["SwitchableHistory", "history_path", "open_history"]


def history_path() -> Path:
    """$XDG_STATE_HOME/pyllm/history, by default below ~/.local/state (XDG base directories)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "pyllm" / "history"


class SwitchableHistory(FileHistory):
    """A history file that `/set nohistory` stops from growing."""

    enabled = True

    def store_string(self, string: str) -> None:
        if self.enabled:
            super().store_string(string)


def open_history(*, enabled: bool) -> History:
    """The user's history; one in memory when the file cannot be written, with a note."""
    try:
        path = history_path()
    except RuntimeError as error:  # no HOME and no entry in the password file
        note(f"no history is kept: {error}")
        return InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Prompts are private: the file is readable by its owner only.
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    except OSError as error:
        note(f"no history is kept: {path}: {error.strerror}")
        return InMemoryHistory()
    history = SwitchableHistory(str(path))
    history.enabled = enabled
    return history
