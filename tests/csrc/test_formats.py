"""Every weight type: the decoder against the gguf package, the encoder against error bounds."""

from __future__ import annotations

from collections.abc import Callable

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from gguf import quants

from pyllm import kernels
from pyllm.kernels import Format
from tests.support.blocks import random_blocks, random_bytes

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FORMATS = kernels.formats()
ENCODERS = [f for f in FORMATS if f.has_encoder]
BLOCK_ENCODERS = [f for f in ENCODERS if f.block_elems > 1]

# The gguf package's table says 40 bytes for Q8_1 (two floats); files and ggml use 36 (two halves).
DIFFERENT_SIZE_IN_GGUF = {"Q8_1"}


def name_of(fmt: Format) -> str:
    return fmt.name


def half_scale(blocks: Bytes) -> Floats:
    return blocks[:, :2].copy().view(np.float16).astype(np.float32)


def decode_q8_1(blocks: Bytes) -> Floats:
    return half_scale(blocks) * blocks[:, 4:].view(np.int8).astype(np.float32)


def decode_q8_k(blocks: Bytes) -> Floats:
    scale = blocks[:, :4].copy().view(np.float32)
    return scale * blocks[:, 4:260].view(np.int8).astype(np.float32)


def decode_q1_0(blocks: Bytes) -> Floats:
    bits = np.unpackbits(blocks[:, 2:], axis=-1, bitorder="little").astype(bool)
    d = half_scale(blocks)
    return np.where(bits, d, -d)


def decode_q2_0(blocks: Bytes) -> Floats:
    pairs = blocks[:, 2:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8) & 3
    return half_scale(blocks) * (pairs.reshape(len(blocks), -1).astype(np.float32) - 1)


# Types the gguf package has no decoder for.
OWN_ORACLES: dict[str, Callable[[Bytes], Floats]] = {
    "Q8_1": decode_q8_1,
    "Q8_K": decode_q8_k,
    "Q1_0": decode_q1_0,
    "Q2_0": decode_q2_0,
}


def oracle(fmt: Format, data: Bytes, cols: int) -> Floats:
    if fmt.name in OWN_ORACLES:
        blocks = data.reshape(-1, fmt.block_bytes)
        return OWN_ORACLES[fmt.name](blocks).reshape(-1, cols)
    return quants.dequantize(data, gguf.GGMLQuantizationType(fmt.id)).reshape(-1, cols)


def assert_same_bits(ours: Floats, theirs: Floats) -> None:
    """Equal bit for bit, except that any NaN equals any NaN."""
    assert ours.dtype == theirs.dtype == np.float32
    same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
    assert same.all(), f"{np.count_nonzero(~same)} of {same.size} differ"


def rms(x: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def decoded(fmt: Format, x: Floats) -> Floats:
    return kernels.dequantize(kernels.quantize(x, fmt.id), fmt.id, x.shape)


def samples(kind: str, rows: int = 64, cols: int = 512) -> Floats:
    rng = np.random.default_rng(7)
    shape = (rows, cols)
    x = rng.standard_normal(shape) * 0.02
    if kind == "heavy tails":
        x = rng.standard_t(3, shape) * 0.02
    elif kind == "offset":
        x += 0.05
    elif kind == "outliers":
        x *= np.where(rng.random(shape) < 0.01, 15, 1)
    return x.astype(np.float32)


def test_the_table_agrees_with_the_gguf_package() -> None:
    sizes = {int(t): size for t, size in gguf.GGML_QUANT_SIZES.items()}
    known = {int(t): t.name for t in gguf.GGMLQuantizationType}
    for fmt in FORMATS:
        if fmt.id in known:
            assert known[fmt.id] == fmt.name
        if fmt.id in sizes and fmt.name not in DIFFERENT_SIZE_IN_GGUF:
            assert sizes[fmt.id] == (fmt.block_elems, fmt.block_bytes)
    integers_and_doubles = {"I8", "I16", "I32", "I64", "F64"}
    missing = set(known.values()) - {f.name for f in FORMATS}
    assert missing <= integers_and_doubles


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
@pytest.mark.parametrize("rows", [1, 3, 17, 37])
def test_decoder_gives_the_packages_bits(fmt: Format, rows: int) -> None:
    rng = np.random.default_rng(rows)
    for cols in (fmt.block_elems, 3 * fmt.block_elems, 768):
        data = random_blocks(fmt, rows, cols, rng)
        ours = kernels.dequantize(data, fmt.id, (rows, cols))
        assert np.isfinite(ours).all()
        assert_same_bits(ours, oracle(fmt, data, cols))


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_decoder_takes_any_bytes(fmt: Format) -> None:
    data = random_bytes(fmt, 999, fmt.block_elems, np.random.default_rng(1))
    with np.errstate(all="ignore"):
        expected = oracle(fmt, data, fmt.block_elems)
    assert_same_bits(kernels.dequantize(data, fmt.id, (999, fmt.block_elems)), expected)


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_blocks_need_no_alignment(fmt: Format) -> None:
    data = random_blocks(fmt, 5, 768, np.random.default_rng(2))
    expected = kernels.dequantize(data, fmt.id, (5, 768))
    shifted = np.empty(data.size + 1, dtype=np.uint8)[1:]
    shifted[:] = data.reshape(-1)
    assert_same_bits(kernels.dequantize(shifted, fmt.id, (5, 768)), expected)


def test_every_half_decodes_exactly() -> None:
    halves = np.arange(65536, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        expected = halves.view(np.float16).astype(np.float32)
    assert_same_bits(kernels.dequantize(halves, "F16", (65536,)), expected)


def test_halves_round_to_nearest_even() -> None:
    rng = np.random.default_rng(3)
    finite = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    ties = (finite[:-1] + finite[1:]) / 2
    beside = np.concatenate([np.nextafter(ties, 0), np.nextafter(ties, np.float32(np.inf))])
    limits = np.array([65504, 65519.996, 65520, 3.4e38, np.inf, 1e-45, 2**-25], dtype=np.float32)
    anything = rng.integers(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([finite, ties, beside, limits, anything[~np.isnan(anything)]])
    values = np.concatenate([values, -values])
    with np.errstate(over="ignore", under="ignore"):
        expected = values.astype(np.float16)
    ours = kernels.quantize(values, "F16").view(np.float16)
    assert np.array_equal(ours.view(np.uint16), expected.view(np.uint16))


def test_bfloats_round_as_the_package_does() -> None:
    values = np.random.default_rng(4).integers(0, 2**32, 100_000, dtype=np.uint32)
    expected = quants.quantize(values.view(np.float32), gguf.GGMLQuantizationType.BF16)
    assert np.array_equal(kernels.quantize(values.view(np.float32), "BF16"), expected.reshape(-1))


@pytest.mark.parametrize("name", ["F32", "F16", "BF16"])
def test_float_types_keep_nan_and_infinity(name: str) -> None:
    special = np.array([np.nan, np.inf, -np.inf, -0.0], dtype=np.float32)
    back = kernels.dequantize(kernels.quantize(special, name), name, (4,))
    assert np.array_equal(back, special, equal_nan=True)
    assert np.signbit(back[3])


# RMS error of a Gaussian row relative to its RMS, a little above what the encoders reach.
GAUSSIAN_ERROR = {
    "F32": 0.0,
    "F16": 3e-4,
    "BF16": 2e-3,
    "Q4_0": 0.082,
    "Q4_1": 0.071,
    "Q5_0": 0.041,
    "Q5_1": 0.035,
    "Q8_0": 0.0055,
    "Q2_K": 0.27,
    "Q3_K": 0.147,
    "Q4_K": 0.072,
    "Q5_K": 0.036,
    "Q6_K": 0.0175,
    "IQ4_NL": 0.075,
    "IQ4_XS": 0.076,
    "TQ1_0": 0.44,
    "TQ2_0": 0.44,
    "MXFP4": 0.114,
}


@pytest.mark.parametrize("fmt", ENCODERS, ids=name_of)
def test_encoder_error_on_gaussian_weights(fmt: Format) -> None:
    x = samples("gaussian")
    # 2^-bits is what no code can beat; the worst of ours, Q4_1, needs 2.2 times that.
    any_type = 2.3 * 2 ** (-8 * fmt.block_bytes / fmt.block_elems)
    assert rms(decoded(fmt, x) - x) <= GAUSSIAN_ERROR.get(fmt.name, any_type) * rms(x)


@pytest.mark.parametrize("kind", ["gaussian", "heavy tails", "offset", "outliers"])
@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ2_0", "MXFP4"])
def test_encoder_is_no_worse_than_the_packages(name: str, kind: str) -> None:
    x = samples(kind)
    theirs = quants.quantize(x, gguf.GGMLQuantizationType[name])
    their_error = rms(kernels.dequantize(theirs, name, x.shape) - x)
    fmt = next(f for f in FORMATS if f.name == name)
    assert rms(decoded(fmt, x) - x) <= 1.002 * their_error


@pytest.mark.parametrize("fmt", BLOCK_ENCODERS, ids=name_of)
@pytest.mark.parametrize("kind", ["gaussian", "heavy tails", "offset", "outliers"])
def test_encoding_a_decoded_row_loses_little(fmt: Format, kind: str) -> None:
    x = samples(kind)
    once = decoded(fmt, x)
    assert rms(decoded(fmt, once) - once) <= 0.35 * rms(once - x)


@pytest.mark.parametrize("name", ["TQ1_0", "TQ2_0"])
def test_ternary_weights_survive_exactly(name: str) -> None:
    x = np.random.default_rng(5).integers(-1, 2, (7, 512)).astype(np.float32) * np.float32(0.25)
    fmt = next(f for f in FORMATS if f.name == name)
    assert np.array_equal(decoded(fmt, x), x)


@pytest.mark.parametrize("fmt", ENCODERS, ids=name_of)
def test_encoding_is_deterministic(fmt: Format) -> None:
    x = samples("gaussian", rows=67)
    one = kernels.quantize(x, fmt.id, threads=1)
    assert np.array_equal(one, kernels.quantize(x, fmt.id, threads=2))
    # A row's bytes do not depend on its neighbours.
    assert np.array_equal(one[13], kernels.quantize(x[13], fmt.id))


def extreme_rows(cols: int) -> Floats:
    rng = np.random.default_rng(6)
    rows = [
        np.zeros(cols),
        np.full(cols, 3.25),
        np.full(cols, -3.25),
        np.where(np.arange(cols) == 17, 1e4, 0),
        rng.standard_normal(cols) * 1e-45,
        rng.standard_normal(cols) * 1e-38,
        rng.standard_normal(cols) * 1e-20,
        rng.standard_normal(cols) * 1e10,
        rng.uniform(-3.4e38, 3.4e38, cols),
        np.where(rng.random(cols) < 0.5, 3.4e38, -3.4e38),
    ]
    return np.array(rows).astype(np.float32)


@pytest.mark.parametrize("fmt", BLOCK_ENCODERS, ids=name_of)
def test_extreme_rows_decode_to_finite_values(fmt: Format) -> None:
    x = extreme_rows(512)
    y = decoded(fmt, x)
    assert np.isfinite(y).all()
    assert not y[0].any()
    largest = np.abs(x.astype(np.float64)).max(axis=-1)
    assert (np.abs(y).max(axis=-1) <= 1.35 * largest + 2**-24).all()


@pytest.mark.parametrize("fmt", BLOCK_ENCODERS, ids=name_of)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_block_types_refuse_non_finite_values(fmt: Format, bad: float) -> None:
    x = samples("gaussian", rows=2)
    x[1, 300] = bad
    with pytest.raises(ValueError, match="value 812 is NaN or infinite"):
        kernels.quantize(x, fmt.id)
