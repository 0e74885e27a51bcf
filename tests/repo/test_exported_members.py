"""`pyllm.__all__` is sorted, complete, and documented."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

import pytest

import pyllm


def test_all_is_sorted_and_resolves() -> None:
    names = pyllm.__all__
    assert list(names) == sorted(set(names))
    assert all(getattr(pyllm, name) is not None for name in names)


def test_dir_shows_every_export() -> None:
    assert set(pyllm.__all__) <= set(dir(pyllm))


def test_no_public_name_is_left_out() -> None:
    """A class or function in the namespace without a leading underscore is an export."""
    public = {
        name
        for name, value in vars(pyllm).items()
        if not name.startswith("_")
        and callable(value)
        and str(getattr(value, "__module__", "")).startswith("pyllm")
    }
    assert public <= set(pyllm.__all__)


def test_exports_are_documented() -> None:
    for name in pyllm.__all__:
        value = getattr(pyllm, name)
        if callable(value):
            assert (value.__doc__ or "").strip(), f"{name} has no docstring"


def test_package_is_typed() -> None:
    assert files("pyllm").joinpath("py.typed").is_file()


def test_version_is_the_installed_one() -> None:
    try:
        installed = version("pyllm")
    except PackageNotFoundError:
        pytest.skip("pyllm runs from a checkout that is not installed")
    assert pyllm.__version__ == installed
