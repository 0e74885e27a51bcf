"""Rotation frequencies: plain, linearly scaled, with a divisor per pair."""

from __future__ import annotations

import numpy as np

from pyllm.graph.rope import rope_frequencies


def test_plain() -> None:
    expected = [1.0, 10_000**-0.25, 0.01, 10_000**-0.75]
    found = rope_frequencies(8, 10_000.0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_linear_scaling_divides_positions() -> None:
    np.testing.assert_allclose(rope_frequencies(8, 500.0, 4.0) * 4, rope_frequencies(8, 500.0))


def test_factors_divide_pair_by_pair() -> None:
    factors = np.array([1, 2, 4, 8], np.float32)
    np.testing.assert_allclose(
        rope_frequencies(8, 500.0, factors=factors) * factors, rope_frequencies(8, 500.0)
    )
