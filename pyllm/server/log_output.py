"""Where the server's log goes: from any thread, without ever waiting for whoever reads it."""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, TypeAlias

from pyllm.server.log_format import LogFormat, StructuredFormatter

__all__ = ["logging_to"]

_MOST_WAITING = 10_000  # lines, a few megabytes: the reader of a pipe may have stopped
_LAST_WORDS_S = 2.0  # for the lines that wait at the end
_LOGGERS = ("pyllm", "uvicorn.error")  # no access log: RequestLog says more

_Lines: TypeAlias = "queue.Queue[str | None]"  # None: the end


@contextmanager
def logging_to(
    log_format: LogFormat, level: int = logging.INFO, stream: TextIO | None = None
) -> Iterator[None]:
    """Everything that pyllm logs goes to `stream` (None: stderr) as lines of `log_format`."""
    lines: _Lines = queue.Queue(_MOST_WAITING)
    handler = _LossyHandler(lines, StructuredFormatter(log_format))
    target = sys.stderr if stream is None else stream
    writer = threading.Thread(target=_write, args=(lines, target), name="pyllm-log", daemon=True)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    writer.start()
    try:
        yield
    finally:
        for logger, old_level, propagates in before:
            logger.removeHandler(handler)
            logger.setLevel(old_level)
            logger.propagate = propagates
        with suppress(queue.Full):
            lines.put(None, timeout=_LAST_WORDS_S)
        writer.join(timeout=_LAST_WORDS_S)


class _LossyHandler(logging.Handler):
    """Lines for which there is no room are dropped; the next one that passes says how many."""

    def __init__(self, lines: _Lines, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._lines = lines
        self._num_dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging` with this handler's lock held."""
        try:
            if self._num_dropped:
                self._lines.put_nowait(self.format(_dropped(self._num_dropped)))
                self._num_dropped = 0
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._num_dropped += 1


def _write(lines: _Lines, stream: TextIO) -> None:
    for line in iter(lines.get, None):
        with suppress(OSError, ValueError):  # the reader has gone; the server goes on
            stream.write(f"{line}\n")
            stream.flush()


def _dropped(count: int) -> logging.LogRecord:
    text = f"{count} lines of the log were lost: its reader was too slow"
    fields = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
    return logging.makeLogRecord(fields)
