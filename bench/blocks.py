"""Random weights (normal-like, standard deviation 0.02) in every type a bench model uses, fast.

Quantised blocks are drawn directly: random codes, and scales sized so that the values come out
right. A 1B file takes 4 s; encoding real numbers instead takes minutes.
"""

from __future__ import annotations

import numpy as np
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

STD = 0.02  # of every weight matrix, as initialised transformers have

Bytes = NDArray[np.uint8]


def random_rows(rng: np.random.Generator, qtype: Type, rows: int, cols: int) -> Bytes:
    """Random weights of `rows` x `cols` in the file's layout: uint8 [rows, row_bytes]."""
    if qtype in (Type.F32, Type.F16, Type.BF16):
        return _floats(rng, qtype, rows, cols)
    elems, nbytes = GGML_QUANT_SIZES[qtype]
    if cols % elems:
        raise ValueError(f"{qtype.name} needs rows of a multiple of {elems}, not {cols}")
    blocks = np.frombuffer(rng.bytes(rows * cols // elems * nbytes), np.uint8).copy()
    blocks = blocks.reshape(-1, nbytes)
    _SCALE[qtype](rng, blocks)
    return blocks.reshape(rows, -1)


def _floats(rng: np.random.Generator, qtype: Type, rows: int, cols: int) -> Bytes:
    x = rng.standard_normal((rows, cols), np.float32) * np.float32(STD)
    if qtype == Type.BF16:
        return (x.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    return x.astype(np.float16 if qtype == Type.F16 else np.float32).view(np.uint8)


def _f16(value: float) -> Bytes:
    return np.array([value], np.float16).view(np.uint8)


def _scale_q4_0(_: np.random.Generator, b: Bytes) -> None:
    b[:, 0:2] = _f16(STD / 4.6)  # std of a uniform nibble is 4.6


def _scale_q8_0(_: np.random.Generator, b: Bytes) -> None:
    b[:, 0:2] = _f16(STD / 73.9)


def _scale_k(b: Bytes, rng: np.random.Generator, bits: int) -> None:
    """Q4_K and Q5_K: scales in [16, 31], minima that centre each sub-block on zero."""
    top = (1 << bits) - 1
    scale = rng.integers(16, 32, (len(b), 8), np.uint8)
    # dmin = d * (top + 1) / 2, so that the minimum that centres a sub-block is about its scale
    d = STD / (24 * top / 3.4641)
    minimum = np.rint(scale * (top / (top + 1))).astype(np.uint8)
    b[:, 0:2], b[:, 2:4] = _f16(d), _f16(d * (top + 1) / 2)
    b[:, 4:8], b[:, 8:12] = scale[:, :4], minimum[:, :4]
    # upper four: low nibbles share a byte, bit 4 goes to the top of the first eight bytes
    b[:, 12:16] = (scale[:, 4:] & 15) | ((minimum[:, 4:] & 15) << 4)
    b[:, 4:8] |= (scale[:, 4:] >> 4) << 6
    b[:, 8:12] |= (minimum[:, 4:] >> 4) << 6


def _scale_q4_k(rng: np.random.Generator, b: Bytes) -> None:
    _scale_k(b, rng, 4)


def _scale_q5_k(rng: np.random.Generator, b: Bytes) -> None:
    _scale_k(b, rng, 5)


def _scale_q6_k(rng: np.random.Generator, b: Bytes) -> None:
    b[:, 192:208] = rng.integers(8, 17, (len(b), 16), np.uint8)
    b[:, 208:210] = _f16(STD / (12 * 18.5))


_SCALE = {
    Type.Q4_0: _scale_q4_0,
    Type.Q8_0: _scale_q8_0,
    Type.Q4_K: _scale_q4_k,
    Type.Q5_K: _scale_q5_k,
    Type.Q6_K: _scale_q6_k,
}
