"""One GGUF file: header, metadata, tensor table and the mapped bytes behind them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Final

from pyllm.errors import ModelFileError, printable
from pyllm.gguf.cursor import CUT_SHORT, Cursor
from pyllm.gguf.identify import HEAD_BYTES, identify
from pyllm.gguf.limits import (
    MAX_ALIGNMENT,
    MAX_KEYS,
    MAX_METADATA_BYTES,
    MAX_TENSORS,
    MIN_KEY_ENTRY_BYTES,
    MIN_TENSOR_ENTRY_BYTES,
)
from pyllm.gguf.mapping import MappedFile
from pyllm.gguf.metadata import Metadata, read_metadata
from pyllm.gguf.tensors import Entry, TensorInfo, padded, placed, read_entries, read_entry

__all__ = ["Part", "open_part"]

_MAGIC: Final = b"GGUF"
_ALIGNMENT_KEY: Final = "general.alignment"
_DEFAULT_ALIGNMENT: Final = 32


@dataclass(frozen=True, slots=True)
class Part:
    """One mapped file; `warnings` are lines for the user."""

    path: str
    file: MappedFile
    version: int
    alignment: int
    metadata: Metadata
    tensors: dict[str, TensorInfo]
    warnings: tuple[str, ...]

    @property
    def data(self) -> mmap.mmap:
        """The mapped bytes."""
        return self.file.data


def open_part(path: str, index: int = 0) -> Part:
    """Opens and checks one file, part `index` of its model. Raises ModelFileError."""
    file = MappedFile(path)
    try:
        return _read_part(file, path, index)
    except BaseException:
        file.close()
        raise


def _read_part(file: MappedFile, path: str, index: int) -> Part:
    cursor = Cursor(file.data, path, 0, min(len(file.data), MAX_METADATA_BYTES))
    version = _read_version(cursor)
    num_tensors = _read_count(cursor, "tensor count", MAX_TENSORS, MIN_TENSOR_ENTRY_BYTES)
    num_keys = _read_count(cursor, "key count", MAX_KEYS, MIN_KEY_ENTRY_BYTES)
    if num_keys == 0:
        limit = "at least one key"
        raise cursor.error(16, "key count", 0, limit, "there is no architecture in this file")
    metadata = read_metadata(cursor, num_keys)
    alignment = _read_alignment(cursor, metadata)
    entries = read_entries(cursor, num_tensors, alignment)
    data_start = padded(cursor.position, alignment)
    warnings = _check_data(cursor, entries, data_start, alignment)
    tensors = placed(entries, data_start, index)
    return Part(path, file, version, alignment, metadata, tensors, warnings)


def _read_version(cursor: Cursor) -> int:
    magic = cursor.data[:4]
    if magic != _MAGIC:
        looks_like, advice = identify(cursor.data[:HEAD_BYTES])
        raise cursor.error(0, "magic", magic, f"b'GGUF'; this is {looks_like}", advice)
    cursor.position = 4
    cursor.need(20, "header")
    version = cursor.u32("version")
    if version in (2, 3):
        return version
    advice = "convert the model again with a current tool"
    if version & 0xFFFF == 0 and version:
        limit = "2 or 3; this is a big-endian file on a little-endian host"
        raise cursor.error(4, "version", version, limit, "use a little-endian file")
    raise cursor.error(4, "version", version, "2 or 3", advice if version < 2 else "update pyllm")


def _read_count(cursor: Cursor, field: str, most: int, min_entry_bytes: int) -> int:
    at = cursor.position
    count = cursor.u64(field)
    if count > most:
        raise cursor.error(at, field, count, f"at most {most}")
    if count * min_entry_bytes > cursor.left:
        limit = f"at most {cursor.left // min_entry_bytes} in the {cursor.left} bytes that follow"
        raise cursor.error(at, field, count, limit, CUT_SHORT)
    return count


def _read_alignment(cursor: Cursor, metadata: Metadata) -> int:
    if _ALIGNMENT_KEY not in metadata:
        return _DEFAULT_ALIGNMENT
    at = metadata.offset(_ALIGNMENT_KEY) or 0
    kind = metadata.type_name(_ALIGNMENT_KEY)
    if kind != "uint32":
        raise cursor.error(at, _ALIGNMENT_KEY, kind, "a value of type uint32")
    alignment = metadata[_ALIGNMENT_KEY]
    if not isinstance(alignment, int) or not _is_power_of_two(alignment, MAX_ALIGNMENT):
        limit = f"a power of two from 1 to {MAX_ALIGNMENT}"
        raise cursor.error(at, _ALIGNMENT_KEY, alignment, limit)
    return alignment


def _is_power_of_two(value: int, most: int) -> bool:
    return 1 <= value <= most and value & (value - 1) == 0


def _check_data(
    cursor: Cursor, entries: dict[str, Entry], data_start: int, alignment: int
) -> tuple[str, ...]:
    """Checks that the data of every tensor is in the file; answers with warnings."""
    file_size = len(cursor.data)
    *_, offset, nbytes = next(reversed(entries.values()), ("", 0, (), 0, 0))
    if data_start + offset + nbytes > file_size:
        _refuse_missing_data(cursor, entries, data_start, file_size)
    next_offset = padded(offset + nbytes, alignment)
    trailing = file_size - data_start - next_offset
    if trailing <= 0:
        return ()
    _refuse_uncounted_tensor(cursor, len(entries), next_offset)
    return (f"{trailing} bytes follow the last tensor; they are ignored",)


def _refuse_missing_data(
    cursor: Cursor, entries: dict[str, Entry], data_start: int, file_size: int
) -> None:
    """Raises for the first tensor that passes the end; entries are in the order of their data."""
    for name, _, _, offset, nbytes in entries.values():
        at = data_start + offset
        if nbytes and at + nbytes > file_size:
            field = f"tensor {printable(name)}: bytes of data in the file"
            limit, message = f"it needs {nbytes}", f"truncated download? {CUT_SHORT}"
            raise cursor.error(at, field, max(0, file_size - at), limit, message)


def _refuse_uncounted_tensor(cursor: Cursor, count: int, next_offset: int) -> None:
    """Raises when the bytes behind the table are one more entry: the count is then too small."""
    probe = Cursor(cursor.data, cursor.path, cursor.position, cursor.end)
    try:
        name, _, _, offset, _ = read_entry(probe)
    except ModelFileError:
        return
    if offset == next_offset:
        field = f"tensor count: offset mismatch, entry {printable(name)} follows"
        raise cursor.error(8, field, count, f"at least {count + 1}")
