"""How much encoding loses: pyllm and llama.cpp on the same rows, one thread, no importance matrix.

    python bench/encoders.py --peer-python ~/peer/bin/python

Per type and distribution: RMS error in percent of the RMS of the values (theirs decoded with our
decoder, which agrees with the gguf package bit for bit), and the speed. Writes a markdown table.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyllm import kernels

ROWS, COLS = 256, 2048
STD = 0.02

Floats = NDArray[np.float32]


def samples(rng: np.random.Generator) -> dict[str, Floats]:
    """Rows as weights are (normal), with heavy tails, and with 1 % of the values 15 x larger."""
    normal = rng.standard_normal((ROWS, COLS)) * STD
    found = {
        "normal": normal,
        "Student t, 3": rng.standard_t(3, (ROWS, COLS)) * STD,
        "outliers": normal * np.where(rng.random((ROWS, COLS)) < 0.01, 15, 1),
    }
    return {name: x.astype(np.float32) for name, x in found.items()}


def error_percent(x: Floats, blocks: NDArray[np.uint8], fmt: kernels.Format) -> float:
    difference = kernels.dequantize(blocks, fmt.id, x.shape).astype(np.float64) - x
    return 100 * float(np.sqrt(np.square(difference).mean() / np.square(x, dtype=float).mean()))


def peer_blocks(python: str, x: Floats, formats: list[kernels.Format]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "x.npy", Path(folder) / "blocks.npz"
        np.save(source, x)
        script = str(Path(__file__).with_name("peer_encode.py"))
        types = [f"{f.id}:{kernels.row_bytes(f.id, COLS)}" for f in formats]
        subprocess.run([python, script, str(source), str(out), *types], check=True)
        return dict(np.load(out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-python", required=True, help="interpreter with llama-cpp-python")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    formats = [f for f in kernels.formats() if f.has_encoder and f.block_elems > 1]
    print("| values | type | RMS % | llama.cpp | ratio | M values/s | llama.cpp |")
    print("|---|---|---|---|---|---|---|")
    for name, x in samples(np.random.default_rng(args.seed)).items():
        peer = peer_blocks(args.peer_python, x, formats)
        for fmt in formats:
            start = time.perf_counter()
            blocks = kernels.quantize(x, fmt.id)
            speed = x.size / (time.perf_counter() - start) / 1e6
            ours = error_percent(x, blocks, fmt)
            theirs = error_percent(x, peer[f"blocks_{fmt.id}"], fmt)
            peer_speed = x.size / float(peer[f"seconds_{fmt.id}"]) / 1e6
            cells = f"{ours:.3f} | {theirs:.3f} | {ours / theirs:.3f}"
            print(f"| {name} | {fmt.name} | {cells} | {speed:.0f} | {peer_speed:.0f} |", flush=True)


if __name__ == "__main__":
    main()
