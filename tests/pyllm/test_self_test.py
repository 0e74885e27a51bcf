"""The self-test must fail when a kernel is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyllm import kernels
from pyllm.self_test import check_kernels


def test_every_type_is_tested_and_correct() -> None:
    before = kernels.isa()
    results = check_kernels()
    assert [result.type for result in results] == [info.name for info in kernels.formats()]
    assert [result for result in results if not result.ok] == []
    assert kernels.isa() == before


def test_float_types_are_almost_exact() -> None:
    errors = {result.type: result.error for result in check_kernels()}
    assert max(errors[name] for name in ("F32", "F16", "BF16")) < 1e-6


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.0])
def test_a_wrong_result_is_found(monkeypatch: pytest.MonkeyPatch, wrong: float) -> None:
    matmul = kernels.matmul

    def broken(x: Any, weights: Any, type: int, shape: tuple[int, int]) -> Any:
        y = matmul(x, weights, type, shape)
        if type == 8:
            y[0, 0] += wrong * np.abs(y).max()
        return y

    monkeypatch.setattr(kernels, "matmul", broken)
    assert [result.type for result in check_kernels() if not result.ok] == ["Q8_0"]


def test_an_instruction_set_that_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if len(kernels.isas()) < 2:
        pytest.skip("this machine has one instruction set only")
    matmul = kernels.matmul

    def broken(*args: Any) -> Any:
        y = matmul(*args)
        return np.nextafter(y, 9) if kernels.isa() == "scalar" else y

    monkeypatch.setattr(kernels, "matmul", broken)
    assert {result.differing for result in check_kernels()} == {("scalar",)}
