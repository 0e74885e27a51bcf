"""Writing an answer to stdout while it is generated."""

from __future__ import annotations

import contextlib
import sys

from pyllm.cli.session import Session
from pyllm.cli.terminal import escape_controls, is_terminal

__all__ = ["print_answer"]


def print_answer(session: Session, text: str, *, verbose: bool) -> None:
    """Streams the answer to `text`; on a terminal its control characters are made visible.

    A file or pipe gets the text unchanged. Raises KeyboardInterrupt after stopping the model.
    """
    safe = escape_controls if is_terminal(sys.stdout) else str
    at_line_start = True
    try:
        with contextlib.closing(session.answer(text)) as pieces:
            for piece in pieces:
                sys.stdout.write(safe(piece))
                sys.stdout.flush()
                at_line_start = piece.endswith("\n")
    finally:
        if not at_line_start:
            print(flush=True)
    if verbose:
        print(f"\n{session.timings.lines()}", file=sys.stderr)
