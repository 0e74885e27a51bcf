"""The most multiply-adds a second that an instruction set allows on this machine, measured.

    python bench/peak.py

Two kinds: int8 dot products, which the quantised matmuls are made of, and float32 FMAs for the
float formats. Measured beside the kernels, because clocks change with load and neighbours.
"""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from native import compiled
from pyllm import kernels

_CHAINS = 12  # as in peak.c
_ROUNDS = 4_000_000  # tens of milliseconds: handing work to a thread takes one
_BEST_OF = 3


class _Loop(NamedTuple):
    name: str  # peak_NAME of peak.c
    macs: int  # multiply-adds of one step of one chain


_X86 = {
    "amx": (_Loop("amx", 1024), _Loop("fma512", 16)),
    "avx512vnni": (_Loop("avx512vnni", 64), _Loop("fma512", 16)),
    "avx512": (_Loop("avx512", 128), _Loop("fma512", 16)),
    "avxvnni": (_Loop("avxvnni", 32), _Loop("fma256", 8)),
    "avx2": (_Loop("avx2", 64), _Loop("fma256", 8)),
}
_ARM = {
    "i8mm": (_Loop("i8mm", 32), _Loop("fma128", 4)),
    "dotprod": (_Loop("dotprod", 16), _Loop("fma128", 4)),
    "neon": (_Loop("neon", 16), _Loop("fma128", 4)),
}
_LOOPS = _ARM if platform.machine() in ("aarch64", "arm64") else _X86


class Peak:
    """Compiles the loops once."""

    def __init__(self) -> None:
        names = {loop.name for pair in _LOOPS.values() for loop in pair}
        _, self._lib = compiled("peak.c", "".join(f"int64_t peak_{n}(int64_t);" for n in names))

    def int8_gmacs(self, isa: str, threads: int) -> float | None:
        """10^9 int8 multiply-adds a second; None for "scalar", which has no dot product."""
        return self._gmacs(_LOOPS[isa][0], threads) if isa in _LOOPS else None

    def float_gmacs(self, isa: str, threads: int) -> float | None:
        """10^9 float32 multiply-adds a second; None for "scalar"."""
        return self._gmacs(_LOOPS[isa][1], threads) if isa in _LOOPS else None

    def _gmacs(self, loop: _Loop, threads: int) -> float:
        run = getattr(self._lib, f"peak_{loop.name}")
        best = 0.0
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(_BEST_OF):
                start = time.perf_counter()
                list(pool.map(run, [_ROUNDS] * threads))
                seconds = time.perf_counter() - start
                best = max(best, threads * _ROUNDS * _CHAINS * loop.macs / seconds / 1e9)
        return best


def main() -> None:
    peak = Peak()
    print("| instruction set | threads | int8 GMAC/s | float32 GMAC/s |\n|---|---|---|---|")
    for isa in kernels.isas():
        for threads in sorted({1, os.cpu_count() or 1}):
            found = (peak.int8_gmacs(isa, threads), peak.float_gmacs(isa, threads))
            cells = " | ".join("–" if x is None else f"{x:.0f}" for x in found)
            print(f"| {isa} | {threads} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
