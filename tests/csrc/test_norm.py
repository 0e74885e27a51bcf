"""rms_norm against NumPy, at odd widths, equal bits on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from pyllm import _core
from tests.support.core_program import Floats, ProgramBuilder, run_rows

WIDTHS = (1, 7, 16, 17, 63, 64, 65, 100, 576, 2048)


def norm_rows(x: Floats, weight: Floats, eps: float = 1e-5, group: int = 0) -> Floats:
    builder = ProgramBuilder(max_tokens=len(x))
    value = builder.rows(x)
    (y,) = builder.op("rms_norm", [value], [x.shape[1]], [weight], eps=eps, group=group)
    program = builder.build(threads=2)
    run_rows(program, np.arange(len(x)))
    return program.read(y, len(x))


@pytest.mark.parametrize("width", WIDTHS)
def test_equals_numpy(isa: str, width: int) -> None:
    rng = np.random.default_rng(width)
    x = rng.normal(size=(5, width)).astype(np.float32) * np.float32([[1e-3], [1], [30], [1e5], [0]])
    weight = rng.normal(size=width).astype(np.float32)
    exact = x.astype(np.float64)
    expected = exact / np.sqrt(np.mean(exact**2, axis=1, keepdims=True) + 1e-5) * weight
    np.testing.assert_allclose(norm_rows(x, weight), expected, rtol=2e-6, atol=1e-30)


@pytest.mark.parametrize("width", WIDTHS)
def test_same_bits_on_every_instruction_set(restore_isa: None, width: int) -> None:
    rng = np.random.default_rng(width)
    x = rng.normal(size=(3, width)).astype(np.float32)
    weight = rng.normal(size=width).astype(np.float32)
    results = []
    for name in _core.isas():
        _core.set_isa(name)
        results.append(norm_rows(x, weight))
    for result in results[1:]:
        np.testing.assert_array_equal(result.view(np.uint32), results[0].view(np.uint32))


def test_groups_are_normalised_on_their_own(isa: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, 30)).astype(np.float32)
    weight = rng.normal(size=10).astype(np.float32)
    grouped = norm_rows(x, weight, group=10)
    alone = norm_rows(x.reshape(12, 10), weight)
    np.testing.assert_array_equal(grouped.reshape(12, 10), alone)


def test_bad_shapes_are_refused() -> None:
    weight = np.ones(8, np.float32)
    builder = ProgramBuilder(max_tokens=1)
    x = builder.rows(np.ones((1, 8)))
    builder.op("rms_norm", [x], [8], [weight[:7]], eps=1e-5, group=0)
    with pytest.raises(ValueError, match=r"op 1 \(rms_norm\): weights\[0\] must have 8 elements"):
        builder.build()
    builder.ops[-1] |= {"weights": [weight], "attrs": {"eps": 1e-5, "group": 3}}
    with pytest.raises(ValueError, match="group must divide"):
        builder.build()
