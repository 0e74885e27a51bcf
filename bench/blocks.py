"""Random weights (normal-like, standard deviation 0.02) in every GGUF type, fast.

Quantised blocks are drawn directly: random codes, and scales sized so that the values come out
right. A 1B file takes 4 s; encoding real numbers instead takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

STD = 0.02  # of every weight matrix, as initialised transformers have

Bytes = NDArray[np.uint8]
Scale = Callable[[np.random.Generator, Bytes], None]

Q2_0 = 42
# The gguf package does not know Q2_0 yet, and its Q8_1 still has two floats.
_SIZES: dict[int, tuple[int, int]] = {Q2_0: (64, 18), Type.Q8_1: (32, 36)}


def block_size(qtype: int) -> tuple[int, int]:
    """(values, bytes) of one block."""
    return _SIZES.get(qtype) or GGML_QUANT_SIZES[Type(qtype)]


def random_rows(rng: np.random.Generator, qtype: int, rows: int, cols: int) -> Bytes:
    """Random weights of `rows` x `cols` in the file's layout: uint8 [rows, row_bytes].

    Raises ValueError when a row is not whole blocks.
    """
    if qtype in (Type.F32, Type.F16, Type.BF16):
        return _floats(rng, Type(qtype), rows, cols)
    elems, nbytes = block_size(qtype)
    if cols % elems:
        raise ValueError(f"type {qtype} needs rows of a multiple of {elems}, not {cols}")
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


def _half_at(offset: int, unit_std: float) -> Scale:
    """For blocks with one half `d`, whose values have `unit_std` when d = 1 and the rest random."""

    def scale(_: np.random.Generator, b: Bytes) -> None:
        b[:, offset : offset + 2] = _f16(STD / unit_std)

    return scale


def _affine(top: int) -> Scale:
    """Q4_1 and Q5_1: d * q + m, with codes up to `top` centred on zero."""

    def scale(_: np.random.Generator, b: Bytes) -> None:
        d = STD / ((top + 1) / 12**0.5)
        b[:, 0:2], b[:, 2:4] = _f16(d), _f16(-d * top / 2)

    return scale


def _k_affine(bits: int) -> Scale:
    """Q4_K and Q5_K: scales in [16, 31], minima that centre each sub-block on zero."""

    def fill(rng: np.random.Generator, b: Bytes) -> None:
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

    return fill


def _q2_k(rng: np.random.Generator, b: Bytes) -> None:
    """Scale and minimum of a sub-block are equal; dmin = 1.5 d centres codes 0 to 3."""
    b[:, 0:16] = rng.integers(8, 16, (len(b), 16), np.uint8) * np.uint8(17)
    d = STD / 13.0
    b[:, 80:82], b[:, 82:84] = _f16(d), _f16(1.5 * d)


def _q6_k(rng: np.random.Generator, b: Bytes) -> None:
    b[:, 192:208] = rng.integers(8, 17, (len(b), 16), np.uint8)
    b[:, 208:210] = _f16(STD / (12 * 18.5))


def _q8_k(_: np.random.Generator, b: Bytes) -> None:
    b[:, 0:4] = np.array([STD / 73.9], np.float32).view(np.uint8)


def _iq1_m(_: np.random.Generator, b: Bytes) -> None:
    """The nibbles of d are the top nibbles of the four 16-bit words of scales."""
    d = int(np.array([STD / 7.5], np.float16).view(np.uint16)[0])
    for k in range(4):
        b[:, 49 + 2 * k] = (b[:, 49 + 2 * k] & 15) | ((d >> 4 * k) & 15) << 4


def _tq2_0(_: np.random.Generator, b: Bytes) -> None:
    codes = b[:, :64]
    codes &= ~((codes & (codes >> 1) & 0x55) << 1)  # 3 is no ternary code: it becomes 1
    b[:, 64:66] = _f16(STD / 0.71)


def _mxfp4(_: np.random.Generator, b: Bytes) -> None:
    b[:, 0] = 120  # 2^-8 in units of half an E2M1 step, whose RMS is 5.85


def _nvfp4(_: np.random.Generator, b: Bytes) -> None:
    b[:, 0:4] = 4  # 2^-7 as UE4M3, halved: 2^-8, as in MXFP4


_SCALE: dict[int, Scale] = {
    Type.Q4_0: _half_at(0, 4.6),
    Type.Q4_1: _affine(15),
    Type.Q5_0: _half_at(0, 9.2),
    Type.Q5_1: _affine(31),
    Type.Q8_0: _half_at(0, 73.9),
    Type.Q8_1: _half_at(0, 73.9),
    Type.Q2_K: _q2_k,
    Type.Q3_K: _half_at(108, 43.2),
    Type.Q4_K: _k_affine(4),
    Type.Q5_K: _k_affine(5),
    Type.Q6_K: _q6_k,
    Type.Q8_K: _q8_k,
    Type.IQ2_XXS: _half_at(0, 53.1),
    Type.IQ2_XS: _half_at(0, 56.1),
    Type.IQ3_XXS: _half_at(0, 142.3),
    Type.IQ1_S: _half_at(0, 7.18),
    Type.IQ4_NL: _half_at(0, 67.3),
    Type.IQ3_S: _half_at(0, 140.4),
    Type.IQ2_S: _half_at(0, 56.5),
    Type.IQ4_XS: _half_at(0, 1255.0),
    Type.IQ1_M: _iq1_m,
    Type.TQ1_0: _half_at(52, 0.82),
    Type.TQ2_0: _tq2_0,
    Type.MXFP4: _mxfp4,
    Type.NVFP4: _nvfp4,
    Type.Q1_0: _half_at(0, 1.0),
    Q2_0: _half_at(0, 1.12),
}
