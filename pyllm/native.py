"""The extension's plain C interface, opened with cffi: `ffi`, `lib`, and errors for statuses.

The extension is found without importing it: its C functions need no Python module. NumPy-facing
functions are in pyllm.kernels.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final

from cffi import FFI

from pyllm.errors import DeviceError

__all__ = [
    "ABI_VERSION",
    "DECLARATIONS",
    "check",
    "ffi",
    "last_error",
    "lib",
    "open_library",
    "text",
]

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

ffi: Final = FFI()
ffi.cdef(DECLARATIONS)


def open_library() -> Any:
    """The extension's functions. Raises ImportError, with what to do, when it is not usable."""
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


lib: Final = open_library()


def text(chars: Any) -> str:
    """A C string as str."""
    return str(ffi.string(chars).decode())


def last_error() -> str:
    """Why the last failing call of this thread failed."""
    return text(lib.pyllm_last_error())


def check(status: int) -> None:
    """Turns a failing status into DeviceError, MemoryError or ValueError with the reason."""
    if status == 0:
        return
    if status == _BAD_ISA:
        raise DeviceError(last_error())
    if status == _NO_MEMORY:
        raise MemoryError(last_error())
    raise ValueError(last_error())
