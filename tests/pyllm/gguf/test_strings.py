"""StringArray: elements are bytes, read as text without loss."""

from __future__ import annotations

import numpy as np
import pytest

from pyllm.gguf import GGUFFile
from tests.corpus.builder import STRING, Gguf, array, key

ELEMENTS = [b"", b"plain", "žluť 中".encode(), b"\xe4\xb8", b"\xff", b"a\0b", b"x" * 300]


@pytest.fixture
def strings(tmp_path):
    path = tmp_path / "m.gguf"
    file = Gguf([key("general.architecture", "x"), array("s", STRING, ELEMENTS)])
    path.write_bytes(file.bytes())
    with GGUFFile.open(path) as opened:
        yield opened.metadata["s"]


def test_elements_are_the_bytes_of_the_file(strings):
    assert [strings.raw(i) for i in range(len(strings))] == ELEMENTS
    assert list(strings.iter_raw()) == ELEMENTS


def test_text_that_is_not_utf8_survives_the_round_trip(strings):
    assert strings.tolist() == list(strings)
    assert [text.encode("utf-8", "surrogateescape") for text in strings] == ELEMENTS
    assert strings[2] == "žluť 中"


def test_indexing_is_that_of_a_list(strings):
    texts = strings.tolist()
    assert len(strings) == len(texts)
    assert strings[-1] == texts[-1]
    assert strings[1:6:2] == texts[1:6:2]
    assert strings[np.int64(1)] == "plain"
    assert strings.index("plain") == 1
    for index in (len(texts), -len(texts) - 1):
        with pytest.raises(IndexError, match="length 7"):
            strings[index]


def test_first_elements_are_read_alone(tmp_path):
    path = tmp_path / "m.gguf"
    file = Gguf([key("general.architecture", "x"), array("s", STRING, ELEMENTS)])
    path.write_bytes(file.bytes())
    with GGUFFile.open(path) as opened:
        assert opened.metadata.first("s", 2) == ["", "plain"]
        assert len(opened.metadata.first("s", 100)) == 7
        with pytest.raises(TypeError, match="not an array"):
            opened.metadata.first("general.architecture", 1)


def test_repr_does_not_list_the_elements(strings):
    assert repr(strings) == "StringArray(length=7)"
