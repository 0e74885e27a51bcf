"""Does this machine compute what the formats define? A small matmul for every weight type.

Each type is multiplied with every instruction set the machine has and compared with the same
product of the dequantized weights in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyllm import kernels

__all__ = ["KernelResult", "check_kernels"]

# 17 rows leave a tile of 16 and one of 1; 512 columns hold two of the largest blocks; with 33
# tokens every type goes through tile registers, where there are any.
_ROWS, _COLS, _TOKENS = 17, 512, 33

# Activations are rounded to int8: half a step of 1/127 of a block's largest value, about 0.6 %
# of a normally distributed one. A wrong nibble or scale is off by tens of percent.
_LIMIT = 0.02


@dataclass(frozen=True)
class KernelResult:
    """One weight type; `error` is relative to the length of the exact result."""

    type: str
    error: float
    limit: float
    differing: tuple[str, ...]  # instruction sets whose result is not the first one's, bit for bit

    @property
    def ok(self) -> bool:
        return self.error <= self.limit and not self.differing


def check_kernels(limit: float = _LIMIT) -> list[KernelResult]:
    """Tests every type with every instruction set; leaves the active one as it was."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_TOKENS, _COLS), dtype=np.float32)
    before = kernels.isa()
    try:
        return [_test(info, x, rng, limit) for info in kernels.formats()]
    finally:
        kernels.set_isa(before)


def _test(
    info: kernels.Format, x: npt.NDArray[np.float32], rng: np.random.Generator, limit: float
) -> KernelResult:
    weights = _weights(info, rng)
    results = {}
    for isa in kernels.isas():
        kernels.set_isa(isa)
        results[isa] = kernels.matmul(x, weights, info.id, (_ROWS, _COLS))
    exact = x.astype(np.float64) @ kernels.dequantize(weights, info.id, (_ROWS, _COLS)).T
    first = next(iter(results.values()))
    differing = tuple(isa for isa, y in results.items() if y.tobytes() != first.tobytes())
    error = float(np.linalg.norm(first - exact) / np.linalg.norm(exact))
    # A result that is not a number compares as "not above the limit" otherwise.
    return KernelResult(info.name, error if np.isfinite(error) else np.inf, limit, differing)


def _weights(info: kernels.Format, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Rows of blocks, as a file holds them."""
    if info.has_encoder:
        return kernels.quantize(rng.standard_normal((_ROWS, _COLS)), info.id)
    # Any bytes are a block, only their scale may be absurd: keep those of a common size.
    needed = _ROWS * _COLS // info.block_elems
    usable = np.empty((0, info.block_bytes), np.uint8)
    while len(usable) < needed:
        blocks = rng.integers(0, 256, (4 * needed, info.block_bytes), np.uint8)
        values = kernels.dequantize(blocks, info.id, (len(blocks), info.block_elems))
        largest = np.abs(values).max(axis=1)
        usable = np.concatenate([usable, blocks[(largest > 0.1) & (largest < 10)]])
    return usable[:needed].reshape(_ROWS, -1)
