"""Where the one prompt of a command comes from: words, flags, a file, what is piped in."""

from __future__ import annotations

import sys
from pathlib import Path

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.terminal import is_terminal
from pyllm.errors import printable

__all__ = ["read_question"]


def read_question(words: str | None, prompt: str | None, file: str | None) -> str | None:
    """The one prompt that was given, None when a person is to be asked."""
    given = [text for text in (words, prompt) if text is not None]
    if file is not None:
        given.append(_decoded(Path(file).expanduser().read_bytes(), printable(file)))
    if len(given) > 1:
        raise CommandLineError("more than one prompt was given; use PROMPT, -p or -f")
    if is_terminal(sys.stdin):
        return given[0] if given else None
    # A program may start us with stdin closed; Python then has none.
    piped = _decoded(sys.stdin.buffer.read(), "stdin") if sys.stdin else ""
    # As Ollama does it: what is piped in comes first, then the words about it.
    parts = [text for text in (piped, *given) if text]
    if not parts and not given:
        raise CommandLineError("no prompt: stdin is empty; give PROMPT or run it in a terminal")
    return " ".join(parts)


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandLineError(
            f"{source} is not UTF-8 text (byte {error.start}); a prompt must be text"
        ) from None
