"""The kernels on NumPy arrays: quantize, dequantize and matmul for every GGUF type and CPU.

This is a thin layer over the plain C interface in csrc/pyllm_kernels.h: it calls what any other
language would call. `ffi` and `lib` (pyllm.native) are that interface.

A type is given as its ggml id or its GGUF name: 12 or "Q4_K". Weights are what a GGUF file holds,
rows of blocks as uint8; `shape` counts values and its last axis is the row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm.errors import DeviceError
from pyllm.formats import Format, find_format, formats, prepare, row_bytes
from pyllm.native import check, ffi, last_error, lib, text

__all__ = [
    "Format",
    "dequantize",
    "ffi",
    "formats",
    "isa",
    "isas",
    "lib",
    "matmul",
    "matmul_packed",
    "pack",
    "prepare",
    "quantize",
    "row_bytes",
    "set_isa",
    "unpack",
]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_PACKED_ALIGNMENT = 64


def isas() -> tuple[str, ...]:
    """Instruction sets this machine can run, best first."""
    names: list[str] = []
    while (name := lib.pyllm_isa_supported(len(names))) != ffi.NULL:
        names.append(text(name))
    return tuple(names)


def isa() -> str:
    """The active instruction set. Raises DeviceError when PYLLM_ISA names an unusable one."""
    name = lib.pyllm_isa_name()
    if name == ffi.NULL:
        raise DeviceError(last_error())
    return text(name)


def set_isa(name: str) -> None:
    """Switches the instruction set; not while anything else computes.

    Raises DeviceError for a name that is unknown or that this machine lacks.
    """
    check(lib.pyllm_select_isa(name.encode()))


def quantize(x: npt.ArrayLike, type: int | str, threads: int = 1) -> Bytes:
    """Encodes float values [..., cols] as blocks, uint8 [..., row_bytes(type, cols)].

    Scales are found by least squares; the same input always gives the same bytes. Raises
    ValueError when the type is unknown or has no encoder, when cols are not whole blocks, or when
    a value is NaN or infinite and the type is not F32, F16 or BF16.
    """
    info = find_format(type)
    values = np.asarray(x, dtype=np.float32, order="C")
    if values.ndim == 0:
        raise ValueError("x is a scalar; its last axis must be a row of values")
    *leading, cols = values.shape
    out = np.empty((*leading, row_bytes(info.id, cols)), dtype=np.uint8)
    rows = math.prod(leading)
    check(
        lib.pyllm_quantize(info.id, _floats(values), rows, cols, _address(out), out.nbytes, threads)
    )
    return out


def dequantize(
    data: npt.NDArray[Any], type: int | str, shape: tuple[int, ...], threads: int = 1
) -> Floats:
    """Decodes rows of blocks to float32 of `shape`, bit for bit what the format defines.

    Raises ValueError when the type is unknown, the last axis is not whole blocks, or `data` does
    not have exactly the bytes of that shape.
    """
    info = find_format(type)
    prepare(info.id)
    blocks = _as_bytes(data)
    rows, cols = _rows_cols(shape)
    out = np.empty(shape, dtype=np.float32)
    check(
        lib.pyllm_dequantize(
            info.id,
            _address(blocks),
            blocks.nbytes,
            rows,
            cols,
            _floats(out),
            out.nbytes,
            threads,
        )
    )
    return out


def pack(
    data: npt.NDArray[Any], type: int | str, shape: tuple[int, int], threads: int = 1
) -> Bytes:
    """Rearranges the rows of a matrix (rows, cols) into the 16-row tiles the kernels read.

    Returns a 64-byte-aligned uint8 vector. Raises ValueError as dequantize does.
    """
    info = find_format(type)
    prepare(info.id)
    blocks = _as_bytes(data)
    rows, cols = shape
    size = _packed_bytes(info, rows, cols)
    packed = _aligned(size)
    check(
        lib.pyllm_pack(
            info.id, _address(blocks), blocks.nbytes, rows, cols, _address(packed), size, threads
        )
    )
    return packed


def unpack(packed: Bytes, type: int | str, shape: tuple[int, int], threads: int = 1) -> Bytes:
    """The inverse of pack, byte for byte: uint8 (rows, row_bytes). Raises ValueError as pack."""
    info = find_format(type)
    prepare(info.id)
    rows, cols = shape
    out = np.empty((max(rows, 0), row_bytes(info.id, cols)), dtype=np.uint8)
    check(
        lib.pyllm_unpack(
            info.id,
            _packed_address(packed),
            packed.nbytes,
            rows,
            cols,
            _address(out),
            out.nbytes,
            threads,
        )
    )
    return out


def matmul(
    x: npt.ArrayLike,
    weights: npt.NDArray[Any],
    type: int | str,
    shape: tuple[int, int],
    threads: int = 1,
) -> Floats:
    """x [..., cols] times the transpose of weights (rows, cols): float32 [..., rows].

    `weights` are the file's rows of blocks. Quantized types multiply integers: x is rounded to
    int8 with one scale per 32 or 128 values first. Each row of the result is the same bits
    whatever the other rows of x, `threads` or the instruction set. Raises ValueError as
    dequantize does, and when x does not end in an axis of cols.
    """
    return matmul_packed(x, pack(weights, type, shape, threads), type, shape, threads)


def matmul_packed(
    x: npt.ArrayLike, packed: Bytes, type: int | str, shape: tuple[int, int], threads: int = 1
) -> Floats:
    """matmul with weights that went through pack already."""
    info = find_format(type)
    rows, cols = shape
    values = np.asarray(x, dtype=np.float32, order="C")
    if values.ndim == 0 or values.shape[-1] != cols:
        raise ValueError(f"x has shape {values.shape}, its last axis must be {cols} values")
    *leading, _ = values.shape
    out = np.empty((*leading, max(rows, 0)), dtype=np.float32)
    check(
        lib.pyllm_matmul(
            info.id,
            _packed_address(packed),
            packed.nbytes,
            rows,
            cols,
            _floats(values),
            math.prod(leading),
            _floats(out),
            threads,
        )
    )
    return out


def _packed_bytes(info: Format, rows: int, cols: int) -> int:
    size = int(lib.pyllm_packed_bytes(info.id, rows, cols))
    if size < 0:
        raise ValueError(f"a {info.name} matrix cannot have {rows} rows of {cols} columns")
    return size


def _rows_cols(shape: tuple[int, ...]) -> tuple[int, int]:
    if not shape:
        raise ValueError("shape is empty; its last axis must be a row of values")
    return math.prod(shape[:-1]), shape[-1]


def _as_bytes(data: npt.NDArray[Any]) -> Bytes:
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def _aligned(size: int) -> Bytes:
    buffer = np.empty(size + _PACKED_ALIGNMENT, dtype=np.uint8)
    start = -buffer.ctypes.data % _PACKED_ALIGNMENT
    return buffer[start : start + size]


def _address(array: npt.NDArray[Any]) -> Any:
    return ffi.cast("void *", array.ctypes.data)


def _packed_address(packed: Bytes) -> Any:
    if packed.dtype != np.uint8 or not packed.flags.c_contiguous:
        raise ValueError("packed must be what pack returned: a contiguous uint8 vector")
    return _address(packed)


def _floats(array: Floats) -> Any:
    return ffi.cast("float *", array.ctypes.data)
