"""A bounded reading position in a mapped file: it never passes the end of what it may read."""

from __future__ import annotations

import struct
from mmap import mmap
from typing import Any, Final

from pyllm.errors import ModelFileError

__all__ = ["CUT_SHORT", "Cursor"]

CUT_SHORT: Final = "the file is cut short; download it again"

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class Cursor:
    """Reads little-endian fields of `data` in [position, end)."""

    __slots__ = ("data", "end", "path", "position")

    def __init__(self, data: mmap, path: str, position: int, end: int) -> None:
        self.data = data
        self.path = path
        self.position = position
        self.end = end

    @property
    def left(self) -> int:
        """Bytes between the position and the end."""
        return self.end - self.position

    def error(
        self, at: int, field: str, value: object, limit: str, message: str = ""
    ) -> ModelFileError:
        """The error for a field that starts at byte `at`."""
        return ModelFileError(self.path, at, field, value, limit, message)

    def need(self, num_bytes: int, field: str) -> None:
        """Raises unless `num_bytes` more bytes can be read."""
        if num_bytes > self.end - self.position:
            raise self.error(
                self.position,
                f"{field}: truncated, bytes left",
                self.left,
                f"at least {num_bytes}",
                CUT_SHORT,
            )

    def scalar(self, layout: struct.Struct, field: str) -> Any:
        """One number of the given layout."""
        self.need(layout.size, field)
        (value,) = layout.unpack_from(self.data, self.position)
        self.position += layout.size
        return value

    def u32(self, field: str) -> int:
        """A 32-bit unsigned integer."""
        position = self.position
        if self.end - position < 4:
            self.need(4, field)
        self.position = position + 4
        value: int = _U32.unpack_from(self.data, position)[0]
        return value

    def u64(self, field: str) -> int:
        """A 64-bit unsigned integer."""
        position = self.position
        if self.end - position < 8:
            self.need(8, field)
        self.position = position + 8
        value: int = _U64.unpack_from(self.data, position)[0]
        return value

    def string(self, field: str, max_bytes: int) -> bytes:
        """A length-prefixed string of at most `max_bytes` bytes; the length is checked first."""
        length = self.u64(field)
        start = self.position
        if length > max_bytes:
            raise self.error(start - 8, f"{field} length", length, f"at most {max_bytes} bytes")
        if length > self.end - start:
            self.need(length, field)
        self.position = start + length
        return self.data[start : start + length]
