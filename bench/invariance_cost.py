"""What does one canonical arithmetic cost? Hot loops beside the same with a free order of sums.

    python bench/invariance_cost.py

Above 1.00 the canonical loop is slower. Both run by turns on one core, over the same bytes:

matmul     one chain of sums per output, against two that are added at the end. The integer part
           is exact in any order, so that the order of the float sums is all that is fixed.
attention  chunks of 256 tokens merged in ascending order, against the same chunks without any
           merging: an upper bound, as an order that follows the threads merges too, if less often.

Not measured, as nothing was given up for them: rows of a matrix are shared out among threads whole,
and norms and softmax use the order of the vector registers.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

_FOLDER = Path(__file__).parent
# The kernels' own flags (CMakeLists.txt), for one machine.
_FLAGS = (
    "-std=c++20", "-O3", "-march=native", "-ffp-contract=off", "-Wno-uninitialized",
    "-Wno-maybe-uninitialized",
)  # fmt: skip


def measured() -> list[tuple[str, float, float, float]]:
    """(case, canonical / free, us of both at their best) for each case."""
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/invariance_cost"
        source = str(_FOLDER / "invariance_cost.cpp")
        include = f"-I{_FOLDER.parent / 'csrc'}"
        subprocess.run(["c++", *_FLAGS, include, source, "-o", program], check=True)
        text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    rows = [line.split(";") for line in text.splitlines()]
    return [(name, float(ratio), float(a) / 1e3, float(b) / 1e3) for name, ratio, a, b in rows]


def main() -> None:
    print("| case | canonical / free | canonical, us | free, us |\n|---|---:|---:|---:|")
    for name, ratio, canonical, free in measured():
        print(f"| {name} | {ratio:.3f} | {canonical:.0f} | {free:.0f} |")


if __name__ == "__main__":
    main()
