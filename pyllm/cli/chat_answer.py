"""Writing a server's answer to stdout while it comes, and its reasoning, dimmed, to stderr."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from pyllm.cli.chat_chunks import Piece
from pyllm.cli.chat_conversation import Conversation
from pyllm.cli.terminal import escape_controls, is_terminal, one_line

__all__ = ["print_chat_answer"]

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_MAX_CALL_CHARS = 2000  # of a tool call that is shown


def print_chat_answer(conversation: Conversation, text: str, *, verbose: bool) -> None:
    """Streams the answer to `text`; on a terminal its control characters are made visible.

    A file or pipe gets the text of the answer unchanged, and nothing else. Tool calls are told
    and not run. Raises KeyboardInterrupt after closing the connection.
    """
    writer = _Writer()
    try:
        with contextlib.closing(conversation.answer(text)) as pieces:
            for piece in pieces:
                writer.write(piece)
    finally:
        writer.end_line()
    for call in conversation.tool_calls:
        shown = one_line(call[:_MAX_CALL_CHARS]) + ("…" if len(call) > _MAX_CALL_CHARS else "")
        print(f"(the model asks for a tool, which is not run: {shown})", file=sys.stderr)
    if verbose:
        print(f"\n{conversation.timings.lines()}", file=sys.stderr)


class _Writer:
    """Puts pieces where they belong; answer and reasoning begin on lines of their own."""

    def __init__(self) -> None:
        self._stream: TextIO = sys.stdout
        self._in_line = False

    def write(self, piece: Piece) -> None:
        stream = sys.stderr if piece.is_reasoning else sys.stdout
        if stream is not self._stream:
            self.end_line()
            self._stream = stream
        shown_to_people = piece.is_reasoning or is_terminal(stream)
        text = escape_controls(piece.text) if shown_to_people else piece.text
        if piece.is_reasoning and is_terminal(stream):
            text = f"{_DIM}{text}{_PLAIN}"
        stream.write(text)
        stream.flush()
        self._in_line = not piece.text.endswith("\n")

    def end_line(self) -> None:
        if self._in_line:
            print(file=self._stream, flush=True)
        self._in_line = False
