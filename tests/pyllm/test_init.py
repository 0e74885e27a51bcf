"""The public surface holds every error, and importing it is cheap."""

import subprocess
import sys

import pytest

import pyllm


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
