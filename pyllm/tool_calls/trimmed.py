"""Text whose blanks are held back while they may turn out to be at its end."""

from __future__ import annotations

from collections.abc import Callable

from pyllm.tool_calls.source import BLANKS


class TrimmedText:
    """Writes what it gets, blanks at the end later or never."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._blanks: list[str] = []

    def write(self, text: str) -> None:
        body = text.rstrip(BLANKS)
        if body:
            self._write("".join([*self._blanks, body]))
            self._blanks = []
        if len(text) > len(body):
            self._blanks.append(text[len(body) :])

    def drop_blanks(self) -> None:
        self._blanks = []

    def flush(self) -> None:
        """The blanks too."""
        if self._blanks:
            self._write("".join(self._blanks))
            self._blanks = []
