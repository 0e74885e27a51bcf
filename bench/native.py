"""Compiles a measuring loop in C or C++ for this very machine."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cffi import FFI


def compiled(source: str, declarations: str) -> tuple[FFI, Any]:
    """The library made from bench/`source`. Raises CalledProcessError when it does not compile."""
    return _library(["cc"], [source], declarations)


def compiled_cpp(sources: list[str], declarations: str) -> tuple[FFI, Any]:
    """The same from files of C++, relative to bench/."""
    return _library(["c++", "-std=c++20", "-pthread"], sources, declarations)


def _library(compiler: list[str], sources: list[str], declarations: str) -> tuple[FFI, Any]:
    ffi = FFI()
    ffi.cdef(declarations)
    paths = [str(Path(__file__).parent / source) for source in sources]
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder) / "loops.so")
        flags = [
            f"-I{Path(__file__).parents[1] / 'csrc'}",
            "-O3",
            "-march=native",
            "-shared",
            "-fPIC",
        ]
        subprocess.run([*compiler, *flags, *paths, "-o", library], check=True)
        return ffi, ffi.dlopen(library)
