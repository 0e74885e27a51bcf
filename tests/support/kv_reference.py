"""What the cache holds of keys and values, in NumPy."""

from __future__ import annotations

import numpy as np

from tests.support.core_program import Floats

GROUP = 32


def stored(rows: np.ndarray, kind: str) -> Floats:
    """Rows of finite elements [..., dim] as they are read back from a cache of the type `kind`."""
    rows = rows.astype(np.float32)
    if kind == "f16":
        return rows.astype(np.float16).astype(np.float32)
    if kind == "bf16":
        bits = rows.view(np.uint32)
        rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
        return rounded.astype(np.uint32).view(np.float32)
    *shape, dim = rows.shape
    padded = np.zeros((*shape, -(-dim // GROUP) * GROUP), np.float32)
    padded[..., :dim] = rows
    groups = padded.reshape(*shape, -1, GROUP)
    return _quantized(groups, kind).reshape(padded.shape)[..., :dim]


def _quantized(groups: Floats, kind: str) -> Floats:
    high, low = groups.max(axis=-1, keepdims=True), groups.min(axis=-1, keepdims=True)
    if kind == "q8_0":
        scale, least, most = np.maximum(high, -low) / np.float32(127), -127, 127
    else:
        scale, least, most = np.where(high > -low, high, low) / np.float32(-8), -8, 7
    scale = scale.astype(np.float16).astype(np.float32)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    return (np.clip(np.rint(groups * inverse), least, most) * scale).astype(np.float32)
