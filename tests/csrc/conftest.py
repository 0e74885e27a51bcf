"""Tests of the C++ core visit every instruction set of the machine and put the choice back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyllm import _core


@pytest.fixture(params=_core.isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture
def restore_isa() -> Iterator[None]:
    before = _core.isa()
    yield
    _core.set_isa(before)
