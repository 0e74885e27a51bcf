"""The lines of input that are this run's: all of them, or those of one shard."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.values import Shard
from pyllm.errors import printable
from pyllm.server.batch.line_reader import RawLine, read_lines
from pyllm.server.batch.request_line import LineError, RequestLine, read_request_line

__all__ = ["BatchLine", "count_lines", "open_input", "read_input"]

_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class BatchLine:
    """A line and what it asks, or why it asks nothing."""

    raw: RawLine
    request: RequestLine | LineError


@contextlib.contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """`path`, or standard input for "-". OSError when it cannot be opened."""
    if path == "-":
        yield sys.stdin.buffer
        return
    place = Path(path).expanduser()
    if place.is_dir():
        raise CommandLineError(f"{printable(path)} is a directory; give a file of JSON lines")
    with place.open("rb") as stream:
        yield stream


def count_lines(path: str) -> int | None:
    """Roughly how many lines there are; None when they can be read only once."""
    place = Path(path).expanduser()
    if path == "-" or not place.is_file():
        return None
    with place.open("rb") as stream:
        return sum(piece.count(b"\n") for piece in iter(lambda: stream.read(_PIECE_BYTES), b""))


def read_input(stream: BinaryIO, urls: tuple[str, ...], shard: Shard | None) -> Iterator[BatchLine]:
    """The run's lines in their order; of two with one custom_id the second is an error."""
    first: dict[bytes, int] = {}  # digest of a custom_id: its line
    for raw in read_lines(stream):
        request: RequestLine | LineError
        try:
            request = read_request_line(raw, urls)
        except LineError as error:
            request = error
        if shard is not None and not _is_in(shard, request.custom_id, raw):
            continue
        if isinstance(request, RequestLine):
            number = first.setdefault(_digest(request.custom_id), raw.number)
            if number != raw.number:
                message = f"custom_id: {printable(request.custom_id)} is also that of line {number}"
                request = LineError("duplicate_custom_id", message, request.custom_id)
        yield BatchLine(raw, request)


def _is_in(shard: Shard, custom_id: str | None, raw: RawLine) -> bool:
    """A line without a custom_id goes by its text, so that exactly one shard reports it."""
    digest = raw.digest if custom_id is None else _digest(custom_id)
    return int.from_bytes(digest[:8], "little") % shard.count == shard.index - 1


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]
