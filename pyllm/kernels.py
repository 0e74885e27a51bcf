"""The kernels on NumPy arrays: quantize, dequantize and matmul for every GGUF type and CPU.

This is a thin layer over the plain C interface in csrc/pyllm_kernels.h: it opens the extension
file with cffi and calls what any other language would call. `ffi` and `lib` are that interface.

A type is given as its ggml id or its GGUF name: 12 or "Q4_K". Weights are what a GGUF file holds,
rows of blocks as uint8; `shape` counts values and its last axis is the row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from cffi import FFI

from pyllm.errors import DeviceError

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

ABI_VERSION: Final = 1

# The declarations of csrc/pyllm_kernels.h, which the wheel does not ship; a test compares the two.
DECLARATIONS: Final = """
typedef struct pyllm_type {
  int32_t id;
  int32_t block_elems;
  int32_t block_bytes;
  int32_t has_encoder;
  int64_t codebook_size;
  const char* name;
} pyllm_type;

int32_t pyllm_abi_version(void);
const char* pyllm_last_error(void);
const char* pyllm_isa_name(void);
const char* pyllm_isa_supported(int32_t index);
int32_t pyllm_select_isa(const char* name);
int32_t pyllm_type_at(int32_t index);
int32_t pyllm_type_info(int32_t type, pyllm_type* info);
int64_t pyllm_row_bytes(int32_t type, int64_t cols);
int32_t pyllm_set_codebook(int32_t type, const int8_t* values, int64_t n);
int32_t pyllm_quantize(int32_t type, const float* x, int64_t rows, int64_t cols, void* out,
    int64_t out_bytes, int32_t threads);
int32_t pyllm_dequantize(int32_t type, const void* data, int64_t data_bytes, int64_t rows,
    int64_t cols, float* out, int64_t out_bytes, int32_t threads);
int64_t pyllm_packed_bytes(int32_t type, int64_t rows, int64_t cols);
int32_t pyllm_pack(int32_t type, const void* data, int64_t data_bytes, int64_t rows, int64_t cols,
    void* packed, int64_t packed_bytes, int32_t threads);
int32_t pyllm_unpack(int32_t type, const void* packed, int64_t packed_bytes, int64_t rows,
    int64_t cols, void* data, int64_t data_bytes, int32_t threads);
int32_t pyllm_matmul(int32_t type, const void* packed, int64_t packed_bytes, int64_t rows,
    int64_t cols, const float* x, int64_t tokens, float* y, int32_t threads);
int64_t pyllm_gguf_strings(const uint8_t* data, int64_t size, int64_t offset, int64_t count,
    int64_t max_len, int64_t* ends_out);
"""

_BAD_ISA = -7
_NO_MEMORY = -8
_PACKED_ALIGNMENT = 64

ffi: Final = FFI()
ffi.cdef(DECLARATIONS)


def _open_library() -> Any:
    spec = find_spec("pyllm._core")
    if spec is None or spec.origin is None:
        raise ImportError(
            "pyllm's compiled extension (pyllm._core) is missing; "
            "install pyllm with pip, or run scripts/build in a checkout"
        )
    library = ffi.dlopen(spec.origin)
    if (version := library.pyllm_abi_version()) != ABI_VERSION:
        raise ImportError(
            f"{spec.origin} has interface version {version}, this pyllm needs {ABI_VERSION}; "
            "build it again"
        )
    return library


lib: Final = _open_library()


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
        _check(lib.pyllm_type_info(type_id, info))
        found.append(
            Format(
                id=info.id,
                name=_text(info.name),
                block_elems=info.block_elems,
                block_bytes=info.block_bytes,
                has_encoder=bool(info.has_encoder),
                codebook_size=info.codebook_size,
            )
        )
        index += 1
    return tuple(found)


def isas() -> tuple[str, ...]:
    """Instruction sets this machine can run, best first."""
    names: list[str] = []
    while (name := lib.pyllm_isa_supported(len(names))) != ffi.NULL:
        names.append(_text(name))
    return tuple(names)


def isa() -> str:
    """The active instruction set. Raises DeviceError when PYLLM_ISA names an unusable one."""
    name = lib.pyllm_isa_name()
    if name == ffi.NULL:
        raise DeviceError(_last_error())
    return _text(name)


def set_isa(name: str) -> None:
    """Switches the instruction set; not while anything else computes.

    Raises DeviceError for a name that is unknown or that this machine lacks.
    """
    _check(lib.pyllm_select_isa(name.encode()))


def row_bytes(type: int | str, cols: int) -> int:
    """Bytes of a row of `cols` values.

    Raises ValueError for an unknown type and for cols that are not whole blocks.
    """
    info = _format(type)
    if cols < 0 or cols % info.block_elems != 0:
        raise ValueError(
            f"{cols} columns are not a multiple of {info.block_elems}, the block of {info.name}"
        )
    return cols // info.block_elems * info.block_bytes


def quantize(x: npt.ArrayLike, type: int | str, threads: int = 1) -> Bytes:
    """Encodes float values [..., cols] as blocks, uint8 [..., row_bytes(type, cols)].

    Scales are found by least squares; the same input always gives the same bytes. Raises
    ValueError when the type is unknown or has no encoder, when cols are not whole blocks, or when
    a value is NaN or infinite and the type is not F32, F16 or BF16.
    """
    info = _format(type)
    values = np.asarray(x, dtype=np.float32, order="C")
    if values.ndim == 0:
        raise ValueError("x is a scalar; its last axis must be a row of values")
    *leading, cols = values.shape
    out = np.empty((*leading, row_bytes(info.id, cols)), dtype=np.uint8)
    rows = math.prod(leading)
    _check(
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
    info = _format(type)
    prepare(info.id)
    blocks = _as_bytes(data)
    rows, cols = _rows_cols(shape)
    out = np.empty(shape, dtype=np.float32)
    _check(
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
    info = _format(type)
    prepare(info.id)
    blocks = _as_bytes(data)
    rows, cols = shape
    size = _packed_bytes(info, rows, cols)
    packed = _aligned(size)
    _check(
        lib.pyllm_pack(
            info.id, _address(blocks), blocks.nbytes, rows, cols, _address(packed), size, threads
        )
    )
    return packed


def unpack(packed: Bytes, type: int | str, shape: tuple[int, int], threads: int = 1) -> Bytes:
    """The inverse of pack, byte for byte: uint8 (rows, row_bytes). Raises ValueError as pack."""
    info = _format(type)
    prepare(info.id)
    rows, cols = shape
    out = np.empty((max(rows, 0), row_bytes(info.id, cols)), dtype=np.uint8)
    _check(
        lib.pyllm_unpack(
            info.id,
            _address(packed),
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
    info = _format(type)
    rows, cols = shape
    values = np.asarray(x, dtype=np.float32, order="C")
    if values.ndim == 0 or values.shape[-1] != cols:
        raise ValueError(f"x has shape {values.shape}, its last axis must be {cols} values")
    *leading, _ = values.shape
    out = np.empty((*leading, max(rows, 0)), dtype=np.float32)
    _check(
        lib.pyllm_matmul(
            info.id,
            _address(packed),
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


@cache
def prepare(type: int | str) -> None:
    """Makes a type decodable: IQ1, IQ2 and IQ3 types get their codebook from the gguf package.

    Nothing happens for other types. Raises ValueError for an unknown type.
    """
    info = _format(type)
    if info.codebook_size == 0:
        return
    # Imported here: it takes 0.1 s, and most models have no such type.
    from gguf import GGMLQuantizationType, quants

    codec = vars(quants)[GGMLQuantizationType(info.id).name]
    codec.init_grid()
    values = np.ascontiguousarray(codec.grid, dtype=np.int8).ravel()
    _check(lib.pyllm_set_codebook(info.id, ffi.from_buffer("int8_t[]", values), values.size))


@cache
def _formats_by_key() -> dict[int | str, Format]:
    return {key: info for info in formats() for key in (info.id, info.name)}


def _format(type: int | str) -> Format:
    found = _formats_by_key().get(type)
    if found is None:
        raise ValueError(f"{type!r} is not a weight type; known: {[f.name for f in formats()]}")
    return found


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


def _floats(array: Floats) -> Any:
    return ffi.cast("float *", array.ctypes.data)


def _text(chars: Any) -> str:
    return str(ffi.string(chars).decode())


def _last_error() -> str:
    return _text(lib.pyllm_last_error())


def _check(status: int) -> None:
    if status == 0:
        return
    if status == _BAD_ISA:
        raise DeviceError(_last_error())
    if status == _NO_MEMORY:
        raise MemoryError(_last_error())
    raise ValueError(_last_error())
