"""Read bandwidth of this machine, measured beside every decode rate: it drifts within seconds."""

from __future__ import annotations

import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI

_BYTES = 1 << 30  # per measurement, several times any cache


class Bandwidth:
    """Compiles the reading loop once and keeps its gigabyte, to be asked between runs."""

    def __init__(self) -> None:
        self._ffi = FFI()
        self._ffi.cdef("uint64_t read_all(const uint64_t*, size_t);")
        self._folder = tempfile.TemporaryDirectory()
        library = Path(self._folder.name) / "bandwidth.so"
        source = Path(__file__).with_name("bandwidth.c")
        command = [
            "cc",
            "-O3",
            "-march=native",
            "-shared",
            "-fPIC",
            str(source),
            "-o",
            str(library),
        ]
        subprocess.run(command, check=True)
        self._lib: Any = self._ffi.dlopen(str(library))
        words = np.ones(_BYTES // 8 + 8, np.uint64)  # vectors must start on a 64-byte line
        first = -words.ctypes.data % 64 // 8
        self._data = words[first : first + _BYTES // 8]

    def gb_per_s(self, threads: int) -> float:
        """Best of three passes over one gigabyte, split between `threads` threads."""
        part = len(self._data) // threads // 32 * 32  # words; the loop reads 256 bytes at a time
        parts = [self._data[i * part : (i + 1) * part] for i in range(threads)]

        def read(part: Any) -> int:
            return int(self._lib.read_all(self._ffi.from_buffer("uint64_t[]", part), len(part)))

        best = 0.0
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(3):
                start = time.perf_counter()
                total = sum(pool.map(read, parts))
                seconds = time.perf_counter() - start
                if total != threads * part:
                    raise RuntimeError("the reading loop did not read everything")
                best = max(best, threads * part * 8 / seconds / 1e9)
        return best


if __name__ == "__main__":
    bandwidth = Bandwidth()
    for n in (1, 2):
        print(f"{n} thread(s): {bandwidth.gb_per_s(n):.1f} GB/s")
