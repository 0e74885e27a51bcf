"""Read bandwidth of this machine, measured beside every decode rate: it drifts within seconds.

    python bench/bandwidth.py        every way of reading that was tried, and the best

How fast memory can be read depends on how it is asked: the best of several prefetch hints,
distances, numbers of streams and page sizes is what a decode rate is a fraction of.
"""

from __future__ import annotations

import mmap
import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from native import compiled

_BYTES = 1 << 30  # per measurement, several times any cache
_FINALISTS = 4  # ways that are tried at every measurement: the order among the best changes
_HINTS = ("none", "nta", "t2", "t1", "t0")  # in the order of bandwidth.c
_DISTANCES = (16, 64, 128)  # lines of 64 bytes
_STREAMS = (1, 4)
_WORDS_AT_A_TIME = 32  # of each stream


class Way(NamedTuple):
    """One way of reading."""

    huge_pages: bool
    hint: str
    distance: int  # lines
    streams: int  # places a thread reads from by turns


class Bandwidth:
    """Compiles the reading loop once and keeps its gigabytes, to be asked between runs."""

    def __init__(self, num_bytes: int = _BYTES) -> None:
        self._ffi, self._lib = compiled(
            "bandwidth.c", "uint64_t read_all(int, const uint64_t*, size_t, size_t, size_t);"
        )
        self._data = {huge: _ones(num_bytes, huge) for huge in (True, False)}
        self._turn = 0
        self._finalists: dict[int, list[Way]] = {}  # by number of threads

    def gb_per_s(self, threads: int) -> float:
        """The best of a few ways, one pass over the gigabyte each."""
        return max(self._pass(way, threads) for way in self.finalists(threads))

    def finalists(self, threads: int) -> list[Way]:
        """The best ways with this many threads, found out when they are asked for first."""
        if threads not in self._finalists:
            rates = self.try_all(threads)
            best = sorted(rates, key=lambda way: rates[way], reverse=True)
            self._finalists[threads] = best[:_FINALISTS]
        return self._finalists[threads]

    def try_all(self, threads: int, rounds: int = 2) -> dict[Way, float]:
        """GB/s of every way: the best of some passes over a quarter, each time another one."""
        rates = dict.fromkeys(_ways(), 0.0)
        for _ in range(rounds):
            for way in rates:
                self._turn += 1
                rates[way] = max(rates[way], self._pass(way, threads, self._turn % 4))
        return rates

    def _pass(self, way: Way, threads: int, quarter: int | None = None) -> float:
        data = self._data[way.huge_pages]
        if quarter is not None:
            data = np.split(data, 4)[quarter]
        unit = _WORDS_AT_A_TIME * way.streams
        part = len(data) // threads // unit * unit
        parts = [data[i * part : (i + 1) * part] for i in range(threads)]
        hint = _HINTS.index(way.hint)

        def read(words: Any) -> int:
            pointer = self._ffi.from_buffer("uint64_t[]", words)
            return int(self._lib.read_all(hint, pointer, len(words), way.streams, way.distance))

        with ThreadPoolExecutor(threads) as pool:
            start = time.perf_counter()
            total = sum(pool.map(read, parts))
            seconds = time.perf_counter() - start
        if total != threads * part:
            raise RuntimeError("the reading loop did not read everything")
        return threads * part * 8 / seconds / 1e9


def _ways() -> list[Way]:
    """Non-temporal hints are slow everywhere they were tried, so one of them is enough."""
    asked = [("none", 0), ("nta", 16), *product(("t2", "t1", "t0"), _DISTANCES)]
    return [
        Way(huge, hint, distance, streams)
        for huge, streams, (hint, distance) in product((True, False), _STREAMS, asked)
    ]


def _ones(num_bytes: int, huge_pages: bool) -> Any:
    """Words of 1 in memory of their own; mmap starts on a page, so vectors are aligned."""
    memory = mmap.mmap(-1, num_bytes)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE if huge_pages else mmap.MADV_NOHUGEPAGE)
    words = np.frombuffer(memory, np.uint64)
    words[:] = 1
    return words


def main() -> None:
    bandwidth = Bandwidth()
    counts = sorted({1, os.cpu_count() or 1})
    rates = {n: bandwidth.try_all(n) for n in counts}
    print("| pages | hint | lines ahead | streams |" + "".join(f" {n} thr. GB/s |" for n in counts))
    print("|---|---|---|---|" + "---|" * len(counts))
    for way in _ways():
        cells = "".join(f" {rates[n][way]:.1f} |" for n in counts)
        pages = "huge" if way.huge_pages else "small"
        print(f"| {pages} | {way.hint} | {way.distance} | {way.streams} |{cells}")
    for n in counts:
        best = bandwidth.finalists(n)[0]
        print(f"{n} thread(s): {bandwidth.gb_per_s(n):.1f} GB/s, for example {best}")


if __name__ == "__main__":
    main()
