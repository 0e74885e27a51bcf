"""The embedded model is found, or its absence is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

import pyllm.demo
from pyllm.demo import demo_model
from pyllm.errors import ModelFileError


def test_it_comes_with_the_package() -> None:
    assert demo_model().stat().st_size < 12_000_000


def test_an_installation_without_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pyllm.demo, "__file__", str(tmp_path / "pyllm" / "demo.py"))
    with pytest.raises(ModelFileError, match="name a MODEL, or reinstall"):
        demo_model()
