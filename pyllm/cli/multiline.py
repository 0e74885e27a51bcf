'''Messages of several lines: everything between two """, as in Ollama.'''

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Message", "MessageReader"]

_QUOTES = '"""'


class Message(NamedTuple):
    """What was typed; a text that was quoted is no command, whatever it begins with."""

    text: str
    is_command: bool


class MessageReader:
    """Feed it lines as they are typed; it gives back whole messages."""

    def __init__(self) -> None:
        self._lines: list[str] | None = None  # of the message that is open, None outside of one
        self._command = ""  # what stands before the opening quotes: "" or "/set system "

    @property
    def is_open(self) -> bool:
        """Whether the closing quotes are still missing."""
        return self._lines is not None

    def feed(self, line: str) -> Message | None:
        """The message `line` completes, None while more is to come.

        `/set system` may take a quoted text too; the whole command is given back then.
        """
        if self._lines is not None:
            return self._extended(self._lines, line)
        before, found, rest = line.partition(_QUOTES)
        if not found or not _may_open(before):
            return Message(line, line.startswith("/"))
        self._command = before.lstrip()
        return self._extended([], rest)

    def cancel(self) -> None:
        """Throws away the message that is open."""
        self._lines = None
        self._command = ""

    def _extended(self, lines: list[str], line: str) -> Message | None:
        if not line.rstrip().endswith(_QUOTES):
            self._lines = [*lines, line]
            return None
        text = "\n".join([*lines, line.rstrip()[: -len(_QUOTES)]])
        message = Message(self._command + text, bool(self._command))
        self.cancel()
        return message


def _may_open(before: str) -> bool:
    """Quotes open a message at its start; those quoted within a sentence stay text."""
    return not before.strip() or before.split() == ["/set", "system"]
