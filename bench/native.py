"""Compiles a measuring loop in C for this very machine."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cffi import FFI


def compiled(source: str, declarations: str) -> tuple[FFI, Any]:
    """The library made from bench/`source`. Raises CalledProcessError when it does not compile."""
    ffi = FFI()
    ffi.cdef(declarations)
    path = Path(__file__).with_name(source)
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder) / "loops.so")
        command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", str(path), "-o", library]
        subprocess.run(command, check=True)
        return ffi, ffi.dlopen(library)
