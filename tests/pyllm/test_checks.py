"""Integers within bounds, and nothing that only looks like one."""

from __future__ import annotations

import numpy as np
import pytest

from pyllm.checks import check_flag, check_integer
from pyllm.errors import RequestError


@pytest.mark.parametrize("value", [1, 8, np.int32(3)])
def test_integers_within_bounds_pass(value: int) -> None:
    check_integer("n", value, 1, 8)


@pytest.mark.parametrize("value", [0, 9, 10**400, 1.0, "1", True, None])
def test_anything_else_is_named(value: object) -> None:
    with pytest.raises(RequestError, match="n: "):
        check_integer("n", value, 1, 8)


@pytest.mark.parametrize("value", [True, False, 1, 0])
def test_flags_pass(value: object) -> None:
    check_flag("f", value)


@pytest.mark.parametrize("value", ["true", None, 2, []])
def test_what_is_no_flag_is_named(value: object) -> None:
    with pytest.raises(RequestError, match="f: "):
        check_flag("f", value)
