"""The output of `pyllm run-batch`: whole lines, whatever happens to the process or the disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pyllm.errors import PyLLMError, printable

__all__ = ["BatchOutput"]

_LINES_PER_SYNC = 32
_BEGINNING = b'{"id":"batch_req_'
_PIECE_BYTES = 64 * 1024


class BatchOutput:
    """Lines are appended one write each, and reach the disk every 32 lines and at the end.

    A last line that was torn, by a full disk or a power cut, is cut off once `lines` are read. A
    pipe or a device is written to and never read. "-" is standard output.

    Raises OSError when it cannot be opened; PyLLMError when another process writes to it.
    """

    def __init__(self, path: str) -> None:
        self.name = printable(path, 4096) if path != "-" else "standard output"
        self._file = os.dup(1) if path == "-" else _opened(Path(path).expanduser())
        self._is_file = path != "-" and stat.S_ISREG(os.fstat(self._file).st_mode)
        self._unsynced = 0
        if self._is_file:
            self._lock()

    def lines(self) -> Iterator[bytes]:
        """Those that are there already. PyLLMError when the last is of somebody else's file."""
        if not self._is_file:
            return
        with open(self._file, "rb", closefd=False) as stream:
            stream.seek(0)
            for line in stream:
                if line.endswith(b"\n"):
                    yield line
                elif line.strip(b"\0") and not line.startswith(_BEGINNING[: len(line)]):
                    raise PyLLMError(f"{self.name} was not written by run-batch; give another -o")
        self._cut_torn_line()

    def append(self, line: bytes) -> None:
        """PyLLMError when the disk is full or fails: what is there stays whole lines."""
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
            self._unsynced += 1
            if self._unsynced >= _LINES_PER_SYNC:
                self._sync()
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._is_file:
                with contextlib.suppress(OSError):  # the next run does it again
                    self._cut_torn_line()
            again = "; the same command goes on from there" if self._is_file else ""
            raise PyLLMError(f"{self.name}: {error.strerror}{again}") from error

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise PyLLMError(f"{self.name}: another run-batch is writing to it") from None

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        end = size
        while end > 0:
            start = max(0, end - _PIECE_BYTES)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._file, end)

    def _sync(self) -> None:
        if self._is_file and self._unsynced:
            os.fsync(self._file)
        self._unsynced = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._sync()
        os.close(self._file)


def _opened(path: Path) -> int:
    if path.exists() and not path.is_file():  # a pipe cannot be read as well
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
