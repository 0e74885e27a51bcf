"""The lines of a file of requests, however long: what is too long is counted, not kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pyllm.server.edge.settings import EdgeSettings

MAX_LINE_BYTES = EdgeSettings.max_body_bytes  # as of a request that comes alone
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class RawLine:
    """One line.

    number  in its file, from 1
    text    without its end; None: it is longer than MAX_LINE_BYTES
    digest  SHA-256 of the text, whatever its length
    """

    number: int
    text: bytes | None
    digest: bytes


def read_lines(stream: BinaryIO) -> Iterator[RawLine]:
    """Every line that is not blank."""
    number = 0
    while first := stream.readline(MAX_LINE_BYTES + 2):
        number += 1
        text, digest = _whole(first, stream)
        if text is None or text.strip():
            yield RawLine(number, text, digest)


def _whole(first: bytes, stream: BinaryIO) -> tuple[bytes | None, bytes]:
    text = first.rstrip(b"\r\n")
    if len(text) <= MAX_LINE_BYTES:
        return text, hashlib.sha256(text).digest()
    digest = hashlib.sha256(first)
    while not first.endswith(b"\n") and (first := stream.readline(_PIECE_BYTES)):
        digest.update(first)
    return None, digest.digest()
