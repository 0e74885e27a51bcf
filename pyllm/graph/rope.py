"""Rotation frequencies of rotary position embeddings (Su et al. 2021, arXiv:2104.09864)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def rope_frequencies(
    rope_dim: int,
    base: float,
    scale: float = 1.0,
    factors: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the angle per position of every pair of dimensions, float32 [rope_dim / 2].

    scale    linear scaling: positions are divided by it
    factors  one divisor per pair (Llama 3's `rope_freqs.weight`), float32 [rope_dim / 2]
    """
    exponents = np.arange(0, rope_dim, 2, dtype=np.float64) / rope_dim
    frequencies = np.power(float(base), -exponents) / scale
    if factors is not None:
        frequencies /= factors.astype(np.float64)
    return frequencies.astype(np.float32)
