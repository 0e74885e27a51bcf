"""Which lines of a batch have their answers already, after the server that wrote them has ended."""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyllm.server.batch.line_reader import RawLine, read_lines


def line_id(batch_id: str, raw: RawLine) -> str:
    """Of the line that answers `raw`: the same whenever it is answered."""
    whole = f"{batch_id}\0{raw.number}\0".encode() + raw.digest
    return f"batch_req_{hashlib.sha256(whole).hexdigest()[:32]}"


@dataclass
class DoneLines:
    """Lines of one of a batch's files, and the bytes they take; what follows is worth nothing."""

    lines: int = 0
    bytes: int = 0


def done_lines(batch_id: str, asked: Path, files: tuple[Path, Path]) -> tuple[DoneLines, DoneLines]:
    """Of each of `files`, which answer the lines of `asked` in their order, each in one of them.

    Files that are not there are empty. Raises OSError. Takes a minute for 500 MB.
    """
    with contextlib.ExitStack() as stack:
        heads = [_Head(stack.enter_context(_opened(file))) for file in files]
        with asked.open("rb") as stream:
            for raw in read_lines(stream):
                beginning = f'{{"id":"{line_id(batch_id, raw)}",'.encode()
                if not any(head.take(beginning) for head in heads):
                    break
    return heads[0].done, heads[1].done


def _opened(file: Path) -> BinaryIO:
    return file.open("rb") if file.exists() else io.BytesIO()


class _Head:
    """The first line of a file that is not yet known to be an answer."""

    def __init__(self, stream: BinaryIO) -> None:
        self.done = DoneLines()
        self._stream = stream
        self._line = stream.readline()

    def take(self, beginning: bytes) -> bool:
        """Whether the line is whole and begins so; the next one is looked at then."""
        if not (self._line.startswith(beginning) and self._line.endswith(b"\n")):
            return False
        self.done.lines += 1
        self.done.bytes += len(self._line)
        self._line = self._stream.readline()
        return True
