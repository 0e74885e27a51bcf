"""The public surface: what `__all__` lists is what there is, and importing it is cheap."""

import subprocess
import sys

import pytest

import pyllm


def test_all_is_sorted_and_importable():
    assert sorted(pyllm.__all__) == sorted(set(pyllm.__all__))
    for name in pyllm.__all__:
        assert getattr(pyllm, name) is not None


def test_all_lists_every_public_name():
    plumbing = {"annotations", "importlib", "Any", "TYPE_CHECKING"}
    public = {
        name
        for name in vars(pyllm)
        if not name.startswith("_") and f"pyllm.{name}" not in sys.modules
    }
    assert public - plumbing <= set(pyllm.__all__)
    assert set(pyllm.__all__) <= set(dir(pyllm))


def test_every_error_is_exported():
    from pyllm import errors

    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    tree = {value.__name__ for value in classes if issubclass(value, errors.PyLLMError)}
    assert len(tree) > 5
    assert tree <= set(pyllm.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Llm'"):
        pyllm.Llm  # noqa: B018


def test_import_brings_neither_numpy_nor_the_extension():
    code = "import sys, pyllm; print(*sorted({'numpy', 'pyllm._core', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
