"""Data for kernel tests: random blocks of any type, and activations rounded to int8."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyllm import kernels
from pyllm.kernels import Format

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def random_bytes(fmt: Format, rows: int, cols: int, rng: np.random.Generator) -> Bytes:
    """Blocks of arbitrary bytes: scales may be huge, NaN or infinite."""
    return rng.integers(0, 256, (rows, kernels.row_bytes(fmt.id, cols)), dtype=np.uint8)


def random_blocks(fmt: Format, rows: int, cols: int, rng: np.random.Generator) -> Bytes:
    """Arbitrary bytes, but only blocks that decode to something between 1e-3 and 1e2.

    Works for any type because it asks the decoder, not the layout.
    """
    needed = rows * cols // fmt.block_elems
    kept: list[Bytes] = []
    while sum(map(len, kept)) < needed:
        blocks = rng.integers(0, 256, (4 * needed + 64, fmt.block_bytes), dtype=np.uint8)
        values = kernels.dequantize(blocks, fmt.id, (len(blocks), fmt.block_elems))
        peak = np.abs(values).max(axis=-1)
        kept.append(blocks[(peak > 1e-3) & (peak < 1e2)])  # a NaN compares false
    return np.concatenate(kept)[:needed].reshape(rows, -1)


def int8_rounded(x: Floats, block: int) -> npt.NDArray[np.float64]:
    """x as the kernels see it with one int8 scale per `block` values, in exact arithmetic."""
    groups = x.reshape(-1, block)
    peak = np.abs(groups).max(axis=-1, keepdims=True)
    q = np.rint(groups * (np.float32(127.49) / peak))
    scale = (peak / np.float32(127.49)).astype(np.float64)
    return (q * scale).reshape(x.shape)
