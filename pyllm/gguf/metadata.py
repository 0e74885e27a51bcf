"""The key-value section: every entry is checked at opening, arrays are read when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from mmap import mmap
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pyllm.errors import printable
from pyllm.gguf.cursor import Cursor
from pyllm.gguf.limits import (
    MAX_ARRAY_ELEMENTS,
    MAX_KEY_BYTES,
    MAX_STRING_BYTES,
    MAX_TEMPLATE_BYTES,
)
from pyllm.gguf.strings import StringArray, scan_strings
from pyllm.gguf.values import ARRAY, BOOL, DTYPES, SCALARS, STRING, VALUE_TYPE_NAMES

__all__ = ["Metadata", "Scalar", "Value", "read_metadata"]

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | StringArray | npt.NDArray[np.generic]


class _ArrayField(NamedTuple):
    """Where an array lies: its elements fill bytes [start, end)."""

    element_type: int
    length: int
    start: int
    end: int


class _Entry(NamedTuple):
    """One key's place (offset of its key string), value type and scalar value or array field."""

    offset: int
    type: int
    value: Scalar | _ArrayField


class Metadata(Mapping[str, Value]):
    """A file's keys and values, in file order.

    Scalars are bool, int, float or str. An array of strings is a StringArray, any other array a
    new NumPy array of its element type (a copy, so it outlives the file).
    """

    __slots__ = ("_data", "_entries")

    def __init__(self, data: mmap, entries: dict[str, _Entry]) -> None:
        self._data = data
        self._entries = entries

    def __getitem__(self, key: str) -> Value:
        value = self._entries[key].value
        return self._array(value) if isinstance(value, _ArrayField) else value

    def _array(self, field: _ArrayField) -> StringArray | npt.NDArray[np.generic]:
        if field.element_type == STRING:
            return StringArray(self._data, field.start, field.length, field.end)
        dtype = np.dtype(DTYPES[field.element_type])
        if field.length == 0:
            array = np.empty(0, dtype)
        else:
            array = np.frombuffer(self._data, dtype, field.length, field.start).copy()
        return array.astype(np.bool_) if field.element_type == BOOL else array

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def offset(self, key: str) -> int | None:
        """Byte offset of the key's entry in the file; None for a key that is not there."""
        entry = self._entries.get(key)
        return None if entry is None else entry.offset

    def type_name(self, key: str) -> str:
        """The value's type as GGUF names it: "uint32", "array of string"."""
        entry = self._entries[key]
        if isinstance(entry.value, _ArrayField):
            return f"array of {VALUE_TYPE_NAMES[entry.value.element_type]}"
        return VALUE_TYPE_NAMES[entry.type]

    def python_type(self, key: str) -> type:
        """The class of metadata[key], without reading an array."""
        entry = self._entries[key]
        if isinstance(entry.value, _ArrayField):
            return StringArray if entry.value.element_type == STRING else np.ndarray
        return type(entry.value)

    def first(self, key: str, count: int) -> Sequence[Scalar]:
        """The first `count` elements of an array, without reading the others."""
        field = self._entries[key].value
        if not isinstance(field, _ArrayField):
            raise TypeError(f"{key} is not an array")
        elements: Sequence[Scalar] = self._array(
            field._replace(length=min(count, field.length))
        ).tolist()
        return elements

    def length(self, key: str) -> int | None:
        """Number of elements of an array, without reading it; None for a scalar."""
        value = self._entries[key].value
        return value.length if isinstance(value, _ArrayField) else None

    def without_arrays(self) -> Metadata:
        """The scalars alone, which need no open file."""
        scalars = {
            key: entry
            for key, entry in self._entries.items()
            if not isinstance(entry.value, _ArrayField)
        }
        return Metadata(self._data, scalars)


def read_metadata(cursor: Cursor, count: int) -> Metadata:
    """Reads `count` entries at the cursor. Raises ModelFileError at the first malformed one."""
    entries: dict[str, _Entry] = {}
    for _ in range(count):
        offset = cursor.position
        key = _read_key(cursor)
        if key in entries:
            first = entries[key].offset
            raise cursor.error(offset, "key", key, f"each key once (first at byte {first})")
        entries[key] = _read_value(cursor, key, offset)
    return Metadata(cursor.data, entries)


def _read_key(cursor: Cursor) -> str:
    at = cursor.position
    raw = cursor.string("key", MAX_KEY_BYTES)
    if not raw or b"\0" in raw:
        raise cursor.error(at, "key", raw, "a non-empty name without NUL bytes")
    return _decode(cursor, raw, at, "key")


def _decode(cursor: Cursor, raw: bytes, at: int, field: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = raw[error.start : error.start + 16]
        raise cursor.error(at + 8 + error.start, field, bad, "UTF-8 text") from None


def _read_value(cursor: Cursor, key: str, offset: int) -> _Entry:
    at = cursor.position
    type_id = cursor.u32("value type")
    layout = SCALARS.get(type_id)
    if layout is not None:
        value = cursor.scalar(layout, "value")
        if type_id == BOOL:
            if value > 1:
                raise cursor.error(at + 4, _named(key), value, "0 or 1 for a bool")
            value = bool(value)
        return _Entry(offset, type_id, value)
    if type_id == STRING:
        return _Entry(offset, type_id, _read_string(cursor, key))
    if type_id == ARRAY:
        return _Entry(offset, type_id, _read_array(cursor, key))
    raise cursor.error(at, f"{_named(key)}: value type", type_id, "0 to 12")


def _read_string(cursor: Cursor, key: str) -> str:
    at = cursor.position
    is_template = key.startswith("tokenizer.chat_template")
    max_bytes = MAX_TEMPLATE_BYTES if is_template else MAX_STRING_BYTES
    return _decode(cursor, cursor.string(_named(key), max_bytes), at, _named(key))


def _read_array(cursor: Cursor, key: str) -> _ArrayField:
    at = cursor.position
    field = _named(key)
    element_type = cursor.u32(f"{field}: element type")
    if element_type == ARRAY:
        raise cursor.error(at, f"{field}: element type", "array", "no array inside an array")
    if element_type not in VALUE_TYPE_NAMES:
        raise cursor.error(at, f"{field}: element type", element_type, "0 to 12, not 9")
    count = cursor.u64(f"{field}: array length")
    if count > MAX_ARRAY_ELEMENTS:
        limit = f"at most {MAX_ARRAY_ELEMENTS} elements"
        raise cursor.error(at + 4, f"{field}: array length", count, limit)
    start = cursor.position
    if element_type == STRING:
        cursor.need(8 * count, field)  # each string has at least its length
        end = scan_strings(cursor.data, start, count, cursor.end, cursor.path, field)
    else:
        size = count * np.dtype(DTYPES[element_type]).itemsize
        cursor.need(size, field)
        end = start + size
        if element_type == BOOL:
            _check_bools(cursor, start, count, field)
    cursor.position = end
    return _ArrayField(element_type, count, start, end)


def _check_bools(cursor: Cursor, start: int, count: int, field: str) -> None:
    if count and (largest := _largest_byte(cursor.data, start, count)) > 1:
        raise cursor.error(start, field, largest, "0 or 1 for each bool")


def _largest_byte(data: mmap, start: int, count: int) -> int:
    # Apart from its caller, so that no error's traceback keeps a view of the mapping alive.
    return int(np.frombuffer(data, np.uint8, count, start).max())


def _named(key: str) -> str:
    return f"key {printable(key)}"
