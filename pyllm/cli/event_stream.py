"""Server-sent events (the `text/event-stream` of the HTML standard), from bytes to their data."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator

from pyllm.errors import PyLLMError

__all__ = ["MAX_EVENT_CHARS", "EventStream"]

# An event is one or a few tokens with their log-probabilities; a server that never ends one must
# not fill the memory.
MAX_EVENT_CHARS = 2**22


class EventStream:
    """Feed it bytes as they come, cut anywhere; it gives back the data of each whole event.

    Raises PyLLMError for an event of more than MAX_EVENT_CHARS characters.
    """

    def __init__(self) -> None:
        utf8 = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        self._line: list[str] = []  # pieces of the line that is not complete
        self._data: list[str] = []  # `data:` lines of the event that is not complete
        self._size = 0  # characters since the last event

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of every event that `chunk` completes."""
        return self._events(self._decoder.decode(chunk))

    def end(self) -> Iterator[str]:
        """What came before the stream ended without the empty line that ends an event."""
        return self._events(self._decoder.decode(b"", final=True) + "\n\n")

    def _events(self, text: str) -> Iterator[str]:
        *lines, rest = text.split("\n")
        for line in lines:
            self._count(len(line) + 1)
            whole = "".join([*self._line, line])
            self._line.clear()
            if whole:
                self._read(whole)
                continue
            self._size = 0
            if self._data:
                yield "\n".join(self._data)
                self._data.clear()
        if rest:
            self._count(len(rest))
            self._line.append(rest)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_EVENT_CHARS:
            limit = f"more than {MAX_EVENT_CHARS} characters"
            raise PyLLMError(f"the server sent an event of {limit}; it is no chat server")

    def _read(self, line: str) -> None:
        # Comments keep a connection alive, and the other fields say nothing that the data does not.
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
