"""Hyperparameters: ranges and types of "<architecture>.<name>" keys."""

from __future__ import annotations

import pytest

from pyllm.errors import ModelFileError, UnsupportedModelError
from pyllm.gguf import GGUFFile
from pyllm.hyperparameters import Hyperparameters
from tests.corpus.builder import I16, U32, Gguf, array, key


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "m.gguf"
    file = Gguf([key("general.architecture", "x"), key("x.two", 2), key("x.minus", -2, I16)])
    file.set(key("x.half", 0.5), key("x.word", "w"), array("x.each", U32, [3, 3, 3]))
    path.write_bytes(file.bytes())
    with GGUFFile.open(path) as opened:
        yield Hyperparameters(opened)


def test_values_in_range(keys):
    assert keys.architecture == "x"
    assert keys.integer("two", 2, 2) == 2
    assert keys.integer("minus", -5, 5) == -2
    assert keys.number("half", 0.5, 1.0) == 0.5
    assert keys.text("word", "") == "w"
    assert keys.same_in_all_layers("each", 3, 1, 3) == 3
    assert keys.same_in_all_layers("two", 3, 1, 3) == 2


def test_defaults_are_not_checked(keys):
    assert keys.integer("none", 1, 2, default=0) == 0
    assert keys.number("none", 1, 2, default=0.0) == 0.0
    assert keys.text("none", "d") == "d"
    assert keys.same_in_all_layers("none", 3, 1, 2, default=0) == 0
    assert keys.scalar("none") is None
    assert keys.scalar("two") == 2


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda k: k.integer("two", 3, 9), r"x\.two: read 2, allowed: 3 to 9"),
        (lambda k: k.integer("none", 1, 2), r"x\.none: the key is missing"),
        (lambda k: k.integer("half", 0, 1), "a value of type int"),
        (lambda k: k.number("half", 1.0, 2.0), r"read 0\.5, allowed: 1 to 2"),
        (lambda k: k.number("two", 1.0, 2.0), "a value of type float"),
        (lambda k: k.text("two", ""), "a value of type str"),
        (lambda k: k.same_in_all_layers("each", 4, 1, 3), "read 'an array of 3', .*one for each"),
        (lambda k: k.same_in_all_layers("each", 3, 4, 9), "read 3, allowed: 4 to 9"),
    ],
)
def test_values_out_of_range(keys, read, message):
    with pytest.raises(ModelFileError, match=message):
        read(keys)


def test_an_array_where_one_value_is_known_is_unsupported(keys):
    with pytest.raises(UnsupportedModelError, match="read 'array of uint32', allowed: one value"):
        keys.scalar("each")
