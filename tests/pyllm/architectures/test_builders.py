"""Architectures are found by listing the package, and each has reference models."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllm import architectures
from pyllm.architectures import builders
from tests.support.reference_models import NAMES, names_of

FILES = sorted(Path(architectures.__path__[0]).glob("[!_]*.py"))


def test_every_file_builds_something() -> None:
    assert len(FILES) >= 3
    built = {build.__module__.rsplit(".", 1)[1] for build in builders().values()}
    assert built == {path.stem for path in FILES}


@pytest.mark.parametrize("name", builders())
def test_every_architecture_has_a_reference_model(name: str) -> None:
    assert names_of(name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_has_a_test(path: Path) -> None:
    assert Path(__file__).with_name(f"test_{path.stem}.py").exists()


def test_every_reference_model_belongs_to_an_architecture() -> None:
    assert sorted(name for a in builders() for name in names_of(a)) == list(NAMES)
