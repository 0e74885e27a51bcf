"""The extension's plain C interface, opened with cffi: `ffi`, `lib`, and errors for statuses.

The extension is found without importing it: its C functions need no Python module. NumPy-facing
functions are in pyllm.kernels.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final

from pyllm.c_types import ffi
from pyllm.errors import DeviceError

__all__ = [
    "ABI_VERSION",
    "check",
    "ffi",
    "last_error",
    "lib",
    "open_library",
    "text",
]

ABI_VERSION: Final = 1

_BAD_ISA = -7
_NO_MEMORY = -8


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
