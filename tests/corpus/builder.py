"""Writes GGUF bytes piece by piece, so that any piece can be wrong. Nothing here is checked."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

__all__ = ["Entry", "Gguf", "Tensor", "array", "bare", "key", "string"]

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)

_CODES = {
    U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q",
    I64: "q", F64: "d",
}  # fmt: skip


def string(text: bytes | str, length: int | None = None) -> bytes:
    """A length-prefixed string; `length` lies about the length."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw) if length is None else length) + raw


@dataclass
class Entry:
    """One key-value entry: name, value type and the value's bytes."""

    name: bytes
    type: int
    payload: bytes

    def bytes(self) -> bytes:
        return string(self.name) + struct.pack("<I", self.type & 0xFFFFFFFF) + self.payload


def key(name: bytes | str, value: object, type_id: int | None = None) -> Entry:
    """An entry whose type is the natural one of `value` (int: uint32) unless given."""
    raw = name.encode() if isinstance(name, str) else name
    if isinstance(value, bytes | str):
        return Entry(raw, STRING, string(value))
    if type_id is None:
        type_id = BOOL if isinstance(value, bool) else F32 if isinstance(value, float) else U32
    return Entry(raw, type_id, struct.pack("<" + _CODES[type_id], value))


def array(name: bytes | str, element_type: int, elements: list, count: int | None = None) -> Entry:
    """An array entry; `count` lies about the number of elements."""
    raw = name.encode() if isinstance(name, str) else name
    if element_type == STRING:
        body = b"".join(string(element) for element in elements)
    else:
        body = struct.pack(f"<{len(elements)}{_CODES.get(element_type, 'B')}", *elements)
    head = struct.pack("<IQ", element_type & 0xFFFFFFFF, len(elements) if count is None else count)
    return Entry(raw, ARRAY, head + body)


@dataclass
class Tensor:
    """One tensor; dims may be negative, offset None means the right one, rank may lie."""

    name: bytes
    dims: list[int]
    type: int = 0
    data: bytes = b""
    offset: int | None = None
    rank: int | None = None

    def entry(self, offset: int) -> bytes:
        rank = len(self.dims) if self.rank is None else self.rank
        dims = b"".join(struct.pack("<Q", dim & (1 << 64) - 1) for dim in self.dims)
        place = offset if self.offset is None else self.offset
        tail = struct.pack("<IQ", self.type & 0xFFFFFFFF, place & (1 << 64) - 1)
        return string(self.name) + struct.pack("<I", rank) + dims + tail


@dataclass
class Gguf:
    """A whole file; counts are the true ones unless set."""

    entries: list[Entry] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    magic: bytes = b"GGUF"
    version: int = 3
    num_tensors: int | None = None
    num_keys: int | None = None
    alignment: int = 32
    tail: bytes = b""

    def set(self, *entries: Entry) -> Gguf:
        """Replaces entries of the same name in place, or appends."""
        for entry in entries:
            names = [old.name for old in self.entries]
            if entry.name in names:
                self.entries[names.index(entry.name)] = entry
            else:
                self.entries.append(entry)
        return self

    def drop(self, *names: str) -> Gguf:
        """Removes keys."""
        gone = {name.encode() for name in names}
        self.entries = [entry for entry in self.entries if entry.name not in gone]
        return self

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name, to be changed."""
        return next(tensor for tensor in self.tensors if tensor.name == name.encode())

    def header(self) -> bytes:
        """Everything before the padding in front of the data."""
        num_tensors = len(self.tensors) if self.num_tensors is None else self.num_tensors
        num_keys = len(self.entries) if self.num_keys is None else self.num_keys
        mask = (1 << 64) - 1
        out = [self.magic + struct.pack("<IQQ", self.version, num_tensors & mask, num_keys & mask)]
        out += [entry.bytes() for entry in self.entries]
        offset = 0
        for tensor in self.tensors:
            out.append(tensor.entry(offset))
            offset += self._padded(len(tensor.data))
        return b"".join(out)

    def bytes(self) -> bytes:
        header = self.header()
        out = [header, bytes(self._padded(len(header)) - len(header))]
        for tensor in self.tensors:
            out += [tensor.data, bytes(self._padded(len(tensor.data)) - len(tensor.data))]
        return b"".join([*out, self.tail])

    def _padded(self, size: int) -> int:
        return -(-size // self.alignment) * self.alignment


def bare(*tensors: Tensor, entries: list[Entry] | None = None, tail: int = 64) -> Gguf:
    """A file with an architecture, these tensors and some bytes behind them."""
    file = Gguf([key("general.architecture", "llama"), *(entries or [])], list(tensors))
    file.tail = bytes(tail)
    return file
