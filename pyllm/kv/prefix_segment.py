"""The file format of the persistent prefix cache: records one after another, each checksummed.

A record is a header, the key (the tokens of a block, see kv_cache.py) and the bytes of the block.
Files are only appended to. A record that a killed writer left unfinished reaches beyond the end of
its file, and is where the file ends for readers; any other damage shows in a checksum.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pyllm import _core

__all__ = ["Record", "new_record", "payload_of", "scan", "seal", "verified"]

_MAGIC = b"pyllmkv1"
# magic, chain digest, key bytes, payload bytes, sum of key and payload, sum of what is before it
_HEADER = struct.Struct("<8s32sIQQQ")
_SUMMED = _HEADER.size - 8
_MOST_KEY_BYTES = 1 << 20
_HEADER_SEED, _CONTENT_SEED = 4, 5


@dataclass(frozen=True, slots=True)
class Record:
    """Where a block lies in a segment file."""

    digest: bytes  # names the chain of tokens that ends with the block
    offset: int
    key_bytes: int
    payload_bytes: int

    @property
    def end(self) -> int:
        return self.offset + _HEADER.size + self.key_bytes + self.payload_bytes


def new_record(key: bytes, payload_bytes: int) -> bytearray:
    """A record whose header and payload are still to be filled in."""
    record = bytearray(_HEADER.size + len(key) + payload_bytes)
    record[_HEADER.size : _HEADER.size + len(key)] = key
    return record


def payload_of(record: bytearray, key: bytes) -> memoryview:
    return memoryview(record)[_HEADER.size + len(key) :]


def seal(record: bytearray, digest: bytes, key: bytes) -> None:
    """Write the header of a record that is otherwise complete."""
    content = memoryview(record)[_HEADER.size :]
    content_sum = _core.checksum(content, _CONTENT_SEED)
    fields = (_MAGIC, digest, len(key), len(content) - len(key), content_sum)
    _HEADER.pack_into(record, 0, *fields, 0)
    header_sum = _core.checksum(memoryview(record)[:_SUMMED], _HEADER_SEED)
    _HEADER.pack_into(record, 0, *fields, header_sum)


def scan(descriptor: int, payload_bytes: int) -> Iterator[Record]:
    """The records of a file up to the first that is not whole or not of this payload; OSError."""
    size = os.fstat(descriptor).st_size
    offset = 0
    while fields := _header(os.pread(descriptor, _HEADER.size, offset)):
        digest, key_bytes, found_bytes, _ = fields
        record = Record(digest, offset, key_bytes, found_bytes)
        if found_bytes != payload_bytes or key_bytes > _MOST_KEY_BYTES or record.end > size:
            return
        yield record
        offset = record.end


def verified(data: memoryview, digest: bytes, key: bytes) -> memoryview | None:
    """The payload of a record's bytes; None unless it is undamaged and of exactly this chain."""
    fields = _header(data[: _HEADER.size])
    if fields is None:
        return None
    found, key_bytes, payload_bytes, content_sum = fields
    content = data[_HEADER.size :]
    if found != digest or key_bytes != len(key) or len(content) != key_bytes + payload_bytes:
        return None
    if content[:key_bytes] != key or _core.checksum(content, _CONTENT_SEED) != content_sum:
        return None
    return content[key_bytes:]


def _header(data: bytes | memoryview) -> tuple[bytes, int, int, int] | None:
    """Digest, key bytes, payload bytes and content sum; None when it is no sound header."""
    if len(data) != _HEADER.size:
        return None
    magic, digest, key_bytes, payload_bytes, content_sum, header_sum = _HEADER.unpack(data)
    if magic != _MAGIC or _core.checksum(data[:_SUMMED], _HEADER_SEED) != header_sum:
        return None
    return digest, key_bytes, payload_bytes, content_sum
