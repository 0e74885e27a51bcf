"""Rotary embedding against NumPy in double, equal bits on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from pyllm import _core
from tests.support.core_program import Floats, ProgramBuilder, run_rows


def rotate(x: Floats, n_heads: int, inv_freq: Floats, mode: str, mscale: float = 1.0) -> Floats:
    builder = ProgramBuilder(max_tokens=len(x))
    value = builder.rows(x)
    (y,) = builder.op(
        "rope", [value], [x.shape[1]], [inv_freq], n_heads=n_heads,
        head_dim=x.shape[1] // n_heads, rope_dim=2 * len(inv_freq), mode=mode, mscale=mscale,
    )  # fmt: skip
    program = builder.build(threads=2)
    run_rows(program, np.arange(len(x)))
    return program.read(y, len(x))


def expected_rotation(x: Floats, n_heads: int, inv_freq: Floats, mode: str) -> np.ndarray:
    n = len(inv_freq)
    heads = x.astype(np.float64).reshape(len(x), n_heads, -1)
    angle = np.arange(len(x))[:, None, None] * inv_freq.astype(np.float64)
    first = np.s_[..., 0 : 2 * n : 2] if mode == "interleaved" else np.s_[..., :n]
    second = np.s_[..., 1 : 2 * n : 2] if mode == "interleaved" else np.s_[..., n : 2 * n]
    out = heads.copy()
    out[first] = heads[first] * np.cos(angle) - heads[second] * np.sin(angle)
    out[second] = heads[first] * np.sin(angle) + heads[second] * np.cos(angle)
    return out.reshape(x.shape)


@pytest.mark.parametrize("mode", ["interleaved", "neox"])
@pytest.mark.parametrize(
    ("n_heads", "head_dim", "n_pairs"), [(3, 8, 4), (2, 10, 5), (1, 80, 16), (4, 128, 64)]
)
def test_equals_numpy(isa: str, mode: str, n_heads: int, head_dim: int, n_pairs: int) -> None:
    rng = np.random.default_rng(head_dim)
    x = rng.normal(size=(19, n_heads * head_dim)).astype(np.float32)
    inv_freq = (1e4 ** (-np.arange(n_pairs) / n_pairs)).astype(np.float32)
    result = rotate(x, n_heads, inv_freq, mode)
    np.testing.assert_allclose(result, expected_rotation(x, n_heads, inv_freq, mode), atol=1e-6)
    untouched = result.reshape(19, n_heads, head_dim)[..., 2 * n_pairs :]
    np.testing.assert_array_equal(untouched, x.reshape(19, n_heads, head_dim)[..., 2 * n_pairs :])


def test_same_bits_on_every_instruction_set(restore_isa: None) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(33, 2 * 36)).astype(np.float32)
    inv_freq = (1e4 ** (-np.arange(17) / 17)).astype(np.float32)
    for mode in ("interleaved", "neox"):
        results = []
        for name in _core.isas():
            _core.set_isa(name)
            results.append(rotate(x, 2, inv_freq, mode))
        for result in results[1:]:
            np.testing.assert_array_equal(result.view(np.uint32), results[0].view(np.uint32))


def test_mscale_multiplies_rotated_dimensions(isa: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, 12)).astype(np.float32)
    inv_freq = np.float32([1.0, 0.1])
    plain, scaled = (rotate(x, 1, inv_freq, "neox", mscale) for mscale in (1.0, 2.0))
    np.testing.assert_array_equal(scaled[:, :4], 2 * plain[:, :4])
    np.testing.assert_array_equal(scaled[:, 4:], x[:, 4:])


def test_far_positions_keep_their_angle() -> None:
    """At position 100,000 a float32 angle would be off by 0.004 rad."""
    builder = ProgramBuilder(max_tokens=1)
    x = builder.rows(np.float32([[1.0, 0.0]]))
    (y,) = builder.op(
        "rope", [x], [2], [np.float32([0.7])], n_heads=1, head_dim=2, rope_dim=2, mode="neox"
    )
    program = builder.build()
    program.columns["positions"][0] = 100_003
    program.columns["seq_starts"][:2] = 0, 1
    program.step(1, 1, 0)
    angle = 100_003 * float(np.float32(0.7))
    np.testing.assert_allclose(program.read(y, 1)[0], [np.cos(angle), np.sin(angle)], atol=1e-7)
