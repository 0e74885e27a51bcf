"""Text for people: escaping what a model or file wrote, one-line notes, who reads stdout."""

from __future__ import annotations

import re
import sys

__all__ = ["escape_controls", "is_terminal", "note", "one_line", "print_error"]

# Control characters (C0, DEL, C1) can move the cursor, rewrite the title or answer for the user;
# bidirectional overrides show other text than is there. Newline and tab are layout.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_controls(text: str) -> str:
    """`text` with every character that could drive a terminal written as an escape (`\\x1b`)."""
    return _UNSAFE.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`text` escaped, newlines and tabs too, so that a message stays one line."""
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def _escaped(match: re.Match[str]) -> str:
    char = match.group()
    if "\udc80" <= char <= "\udcff":  # a byte of a file name that is not UTF-8 (PEP 383)
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def is_terminal(stream: object) -> bool:
    """Whether a person reads (or types into) `stream`."""
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and not getattr(stream, "closed", False) and isatty())


def note(text: str) -> None:
    """A line about something worth knowing that is not an error, on stderr."""
    print(f"pyllm: note: {one_line(text)}", file=sys.stderr)


def print_error(text: str) -> None:
    """The one line a failure gets, on stderr."""
    print(f"pyllm: error: {one_line(text)}", file=sys.stderr)
