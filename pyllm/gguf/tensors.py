"""The tensor table: name, shape, type and place of every tensor, checked before any data is used.

Sizes are Python integers, so no product and no sum here can wrap.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, TypeAlias

from pyllm.errors import ModelFileError, printable
from pyllm.gguf.cursor import CUT_SHORT, Cursor
from pyllm.gguf.limits import MAX_DIMENSIONS, MAX_INT64, MAX_NAME_BYTES
from pyllm.gguf.types import REMOVED_TYPE_IDS, TENSOR_TYPES

__all__ = ["Entry", "TensorInfo", "padded", "placed", "read_entries", "read_entry"]


class TensorInfo(NamedTuple):
    """Where one tensor lies.

    shape   GGUF order: shape[0] (ne0) is the row, contiguous in the file; () for a scalar
    offset  bytes from the start of the file of its part
    nbytes  bytes of data, without padding
    part    index of the file among the parts of a split model, 0 for a single file
    """

    name: str
    type: int
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    part: int

    @property
    def type_name(self) -> str:
        """The ggml name of the type ("Q4_K")."""
        return TENSOR_TYPES[self.type].name

    @property
    def num_elements(self) -> int:
        """Product of the shape."""
        total = 1
        for size in self.shape:
            total *= size
        return total


# name, type, shape, offset from the start of the data section, bytes. A plain tuple: 65 536 named
# ones would cost the garbage collector 60 ms.
Entry: TypeAlias = tuple[str, int, tuple[int, ...], int, int]

# Dimensions are signed on purpose: a negative one is then shown as it was meant.
_SHAPES: Final = tuple(struct.Struct(f"<{rank}qiQ") for rank in range(MAX_DIMENSIONS + 1))


def padded(size: int, alignment: int) -> int:
    """`size` rounded up to a multiple of `alignment`."""
    return -(-size // alignment) * alignment


def read_entries(cursor: Cursor, count: int, alignment: int) -> dict[str, Entry]:
    """Reads `count` tensor entries at the cursor, in file order.

    Their offsets must follow one another, each padded to `alignment`, without gap or overlap.
    """
    entries: dict[str, Entry] = {}
    expected = 0
    for _ in range(count):
        at = cursor.position
        entry = read_entry(cursor)
        name, _, _, offset, nbytes = entry
        if name in entries:
            raise cursor.error(at, "tensor name", name, "each tensor once")
        if offset != expected:
            raise _bad_offset(cursor, name, offset, expected, alignment)
        entries[name] = entry
        expected = padded(expected + nbytes, alignment)
    return entries


def placed(entries: dict[str, Entry], data_start: int, part: int) -> dict[str, TensorInfo]:
    """The tensors of part `part`, whose data section starts at byte `data_start`."""
    return {
        name: TensorInfo(name, kind, shape, data_start + offset, nbytes, part)
        for name, kind, shape, offset, nbytes in entries.values()
    }


def read_entry(cursor: Cursor) -> Entry:
    """Reads one entry; what depends on its neighbours is left to the caller."""
    at = cursor.position
    name = _checked_name(cursor, cursor.string("tensor name", MAX_NAME_BYTES), at)
    at = cursor.position
    rank = cursor.u32("tensor rank")
    if rank > MAX_DIMENSIONS:
        raise _error(cursor, at, name, "number of dimensions", rank, f"0 to {MAX_DIMENSIONS}")
    layout = _SHAPES[rank]
    cursor.need(layout.size, "tensor entry")
    at = cursor.position
    *dimensions, type_id, offset = layout.unpack_from(cursor.data, at)
    cursor.position = at + layout.size
    shape = tuple(dimensions)
    return name, type_id, shape, offset, _checked_size(cursor, at, name, shape, type_id)


def _checked_name(cursor: Cursor, raw: bytes, at: int) -> str:
    # Names are printed and used as dictionary keys and may become file names in tools.
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise cursor.error(at, "tensor name", raw, "UTF-8 text") from None
    if not name or not name.isprintable() or ".." in name:
        raise cursor.error(at, "tensor name", name, "printable characters, not empty, no '..'")
    return name


def _checked_size(cursor: Cursor, at: int, name: str, shape: tuple[int, ...], type_id: int) -> int:
    """Bytes of a tensor; raises for a bad dimension or type. `at` is where the dimensions start."""
    elements = 1
    for size in shape:
        if size < 0:
            raise _error(cursor, at, name, "dimensions", shape, "sizes of at least 0")
        elements *= size
    if elements > MAX_INT64:
        raise _error(cursor, at, name, "dimensions", shape, "at most 2^63-1 elements")
    kind = TENSOR_TYPES.get(type_id)
    if kind is None:
        raise _bad_type(cursor, at + 8 * len(shape), name, type_id)
    row = shape[0] if shape else 1
    if row % kind.block_elements:
        limit = f"a row that is a multiple of {kind.block_elements} for {kind.name}"
        raise _error(cursor, at, name, "dimensions", shape, limit)
    nbytes = elements // kind.block_elements * kind.block_bytes
    if nbytes > MAX_INT64:
        raise _error(cursor, at, name, "size in bytes", nbytes, "at most 2^63-1")
    return nbytes


def _bad_type(cursor: Cursor, at: int, name: str, type_id: int) -> ModelFileError:
    if type_id in REMOVED_TYPE_IDS:
        return _error(
            cursor,
            at,
            name,
            "removed tensor type",
            type_id,
            "types of today's ggml",
            "quantize the model again with a current tool",
        )
    limit = f"one of {', '.join(str(known) for known in TENSOR_TYPES)}"
    return _error(cursor, at, name, "unknown tensor type", type_id, limit, "update pyllm")


def _bad_offset(
    cursor: Cursor, name: str, offset: int, expected: int, alignment: int
) -> ModelFileError:
    at = cursor.position - 8
    if offset % alignment:
        limit = f"a multiple of the alignment {alignment}"
    elif offset < expected:
        limit = f"{expected}: it overlaps the tensor before it"
    else:
        limit = f"{expected}: there is a gap, or tensors are out of order"
    return _error(cursor, at, name, "data offset", offset, limit, CUT_SHORT)


def _error(
    cursor: Cursor,
    at: int,
    name: str,
    what: str,
    value: object,
    limit: str,
    message: str = "",
) -> ModelFileError:
    return cursor.error(at, f"tensor {printable(name)}: {what}", value, limit, message)
