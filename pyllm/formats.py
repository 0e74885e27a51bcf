"""The table of GGUF weight types, as the extension knows it, and their codebooks.

A type is named by its ggml id or its GGUF name: 12 or "Q4_K".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from pyllm.native import check, ffi, lib, text

__all__ = ["Format", "find_format", "formats", "prepare", "row_bytes"]


@dataclass(frozen=True, slots=True)
class Format:
    """One GGUF weight type: `block_elems` values take `block_bytes` bytes."""

    id: int  # ggml type id
    name: str  # as in GGUF: "Q4_K"
    block_elems: int
    block_bytes: int
    has_encoder: bool  # quantize() can write it
    codebook_size: int  # int8 values that prepare() hands over, 0 for most types


@cache
def formats() -> tuple[Format, ...]:
    """Every weight type pyllm reads, in the order of their ggml ids."""
    found = []
    info = ffi.new("pyllm_type *")
    index = 0
    while (type_id := lib.pyllm_type_at(index)) >= 0:
        check(lib.pyllm_type_info(type_id, info))
        found.append(
            Format(
                id=info.id,
                name=text(info.name),
                block_elems=info.block_elems,
                block_bytes=info.block_bytes,
                has_encoder=bool(info.has_encoder),
                codebook_size=info.codebook_size,
            )
        )
        index += 1
    return tuple(found)


@cache
def _formats_by_key() -> dict[int | str, Format]:
    return {key: info for info in formats() for key in (info.id, info.name)}


def find_format(type: int | str) -> Format:
    """The type with this id or name. Raises ValueError when there is none."""
    found = _formats_by_key().get(type)
    if found is None:
        raise ValueError(f"{type!r} is not a weight type; known: {[f.name for f in formats()]}")
    return found


def row_bytes(type: int | str, cols: int) -> int:
    """Bytes of a row of `cols` values.

    Raises ValueError for an unknown type and for cols that are not whole blocks.
    """
    info = find_format(type)
    if cols < 0 or cols % info.block_elems != 0:
        raise ValueError(
            f"{cols} columns are not a multiple of {info.block_elems}, the block of {info.name}"
        )
    return cols // info.block_elems * info.block_bytes


@cache
def prepare(type: int | str) -> None:
    """Makes a type decodable: IQ1, IQ2 and IQ3 types get their codebook from the gguf package.

    Nothing happens for other types. Raises ValueError for an unknown type.
    """
    info = find_format(type)
    if info.codebook_size == 0:
        return
    # Imported here: it takes 0.1 s, and most models have no such type.
    from gguf import GGMLQuantizationType, quants

    codec = vars(quants)[GGMLQuantizationType(info.id).name]
    codec.init_grid()
    values = np.ascontiguousarray(codec.grid, dtype=np.int8).ravel()
    check(lib.pyllm_set_codebook(info.id, ffi.from_buffer("int8_t[]", values), values.size))
