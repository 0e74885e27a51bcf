"""Speed of the matmul kernels: format x instruction set x shape x tokens, beside what is possible.

    python bench/matmul.py                                    popular types, a 1B layer's shapes
    python bench/matmul.py --types Q4_K --shapes 8b-down --isas avx512vnni avx2 --seconds 60
    python bench/matmul.py --types all --json matmul.jsonl    adds a JSON line for each cell

"peak" is the share of the int8 (or, for float types, float32) multiply-adds that the instruction
set can do, "read" that of the read bandwidth, "roof" that of the tighter of the two; both limits
are measured in the same run. Activations are rounded to int8 inside the time, as in the engine.
Weights come from memory: calls go round copies of them that no cache holds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bandwidth import Bandwidth
from blocks import Bytes, random_rows
from peak import Peak
from pyllm import kernels

# (rows, columns) of the matrices of Llama 3.2 1B and Llama 3.1 8B
SHAPES = {
    "1b-qo": (2048, 2048),
    "1b-kv": (512, 2048),
    "1b-gate": (8192, 2048),
    "1b-down": (2048, 8192),
    "8b-qo": (4096, 4096),
    "8b-kv": (1024, 4096),
    "8b-gate": (14_336, 4096),
    "8b-down": (4096, 14_336),
}
POPULAR = ("Q4_K", "Q6_K", "Q8_0", "Q5_K", "Q4_0", "IQ4_XS", "Q3_K", "Q2_K", "F16", "BF16")
FLOATS = ("F32", "F16", "BF16")
TOKENS = (1, 2, 4, 8, 16, 32, 128, 512)
WORKING_SET = 384 << 20  # bytes of weights that calls go round, more than a core's share of caches
CALL_BYTES = 32 << 20  # of a call with few tokens: starting its threads (50 us) then takes 2 %
FEW_TOKENS = 16
FEWEST_CALLS = 3


@dataclass(frozen=True)
class Cell:
    """What is measured."""

    type: str
    shape: str
    isa: str
    threads: int
    tokens: int


@dataclass(frozen=True)
class Speed:
    """What was measured; shares are of 1, None where there is no such limit."""

    gmacs: float  # 10^9 multiply-adds a second
    gb_per_s: float  # of weights as the file has them
    peak: float | None
    read: float
    roof: float | None


class Matrices:
    """One shape in one type, packed, in as many copies as no cache holds."""

    def __init__(self, type_name: str, rows: int, cols: int, *, few_tokens: bool) -> None:
        fmt = next(f for f in kernels.formats() if f.name == type_name)
        raw = random_rows(np.random.default_rng(0), fmt.id, rows, cols)
        stack = max(1, CALL_BYTES // raw.nbytes) if few_tokens else 1
        self.type = type_name
        self.shape = (rows * stack, cols)
        self.nbytes = raw.nbytes * stack  # as in the file
        packed = kernels.pack(np.tile(raw, (stack, 1)), type_name, self.shape)
        copies = max(1, WORKING_SET // packed.nbytes)
        self._next = itertools.cycle([packed, *(_copy(packed) for _ in range(copies - 1))])
        self._rng = np.random.default_rng(1)

    def median_s(self, cell: Cell, until: float) -> float:
        """Median time of calls repeated until that time of time.perf_counter()."""
        x = self._rng.standard_normal((cell.tokens, self.shape[1]), np.float32)
        times: list[float] = []
        while len(times) <= FEWEST_CALLS or time.perf_counter() < until:
            start = time.perf_counter()
            kernels.matmul_packed(x, next(self._next), self.type, self.shape, cell.threads)
            times.append(time.perf_counter() - start)
        return statistics.median(times[1:])  # the first finds pages and clocks cold


def _copy(packed: Bytes) -> Bytes:
    buffer = np.empty(packed.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    copy = buffer[start : start + packed.nbytes]
    copy[:] = packed
    return copy


class Limits:
    """Peak and bandwidth, measured again before every group of cells."""

    def __init__(self) -> None:
        self._peak, self._bandwidth = Peak(), Bandwidth()

    def measure(self, isa: str, threads: int, type_name: str) -> tuple[float | None, float]:
        """(10^9 multiply-adds a second, 10^9 bytes a second)."""
        peak = self._peak.float_gmacs if type_name in FLOATS else self._peak.int8_gmacs
        return peak(isa, threads), self._bandwidth.gb_per_s(threads)


def speed(
    cell: Cell, matrices: Matrices, seconds: float, limits: tuple[float | None, float]
) -> Speed:
    rows, cols = matrices.shape
    gmacs = rows * cols * cell.tokens / seconds / 1e9
    gb_per_s = matrices.nbytes / seconds / 1e9
    most_gmacs, most_gb_per_s = limits
    read = gb_per_s / most_gb_per_s
    peak = None if most_gmacs is None else gmacs / most_gmacs
    return Speed(gmacs, gb_per_s, peak, read, None if peak is None else max(peak, read))


def groups(args: argparse.Namespace) -> Iterator[tuple[str, str, bool, list[Cell]]]:
    """Cells that share their matrices: (type, shape, few tokens?, cells)."""
    for type_name, shape in itertools.product(args.types, args.shapes):
        for few in (True, False):
            tokens = [n for n in args.tokens if (n <= FEW_TOKENS) == few]
            combined = itertools.product(args.isas, args.threads, tokens)
            cells = [Cell(type_name, shape, isa, t, n) for isa, t, n in combined]
            if cells:
                yield type_name, shape, few, cells


def measured(args: argparse.Namespace) -> Iterator[tuple[Cell, Speed]]:
    """Every cell; what is left of the time is shared among those that are left."""
    end = time.perf_counter() + args.seconds
    limits = Limits()
    left = sum(len(cells) for *_, cells in groups(args))
    for type_name, shape, few, cells in groups(args):
        matrices = Matrices(type_name, *SHAPES[shape], few_tokens=few)
        for (isa, threads), part in itertools.groupby(cells, lambda c: (c.isa, c.threads)):
            kernels.set_isa(isa)
            found = limits.measure(isa, threads, type_name)
            for cell in part:
                now = time.perf_counter()
                seconds = matrices.median_s(cell, now + (end - now) / left)
                left -= 1
                yield cell, speed(cell, matrices, seconds, found)


def table(results: list[tuple[Cell, Speed]]) -> str:
    """Markdown, a row per cell."""
    lines = [
        "| type | shape | isa | threads | tokens | GMAC/s | GB/s | peak | read | roof |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell, found in results:
        shares = " | ".join(
            "–" if x is None else f"{100 * x:.0f} %" for x in (found.peak, found.read, found.roof)
        )
        rows, cols = SHAPES[cell.shape]
        lines.append(
            f"| {cell.type} | {rows} × {cols} | {cell.isa} | {cell.threads} | {cell.tokens} "
            f"| {found.gmacs:.1f} | {found.gb_per_s:.2f} | {shares} |"
        )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    types = [f.name for f in kernels.formats()]
    parser.add_argument("--types", nargs="+", default=[*POPULAR], choices=[*types, "all"])
    parser.add_argument("--shapes", nargs="+", default=["1b-gate", "1b-down"], choices=SHAPES)
    parser.add_argument("--isas", nargs="+", default=[kernels.isa()], choices=kernels.isas())
    parser.add_argument("--tokens", nargs="+", type=int, default=[*TOKENS])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=100, help="for the whole run")
    parser.add_argument("--json", type=Path, help="append a JSON line for each cell to this file")
    args = parser.parse_args()
    if "all" in args.types:
        args.types = types
    return args


def main() -> None:
    args = arguments()
    results = []
    for cell, found in measured(args):
        results.append((cell, found))
        print(".", end="", file=sys.stderr, flush=True)
        if args.json is not None:
            with args.json.open("a") as out:
                out.write(json.dumps({"kind": "matmul", **asdict(cell), **asdict(found)}) + "\n")
    print(file=sys.stderr)
    print(table(results))


if __name__ == "__main__":
    main()
