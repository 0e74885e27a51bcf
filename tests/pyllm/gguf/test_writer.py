"""write_gguf: what it writes is what GGUFFile reads."""

from __future__ import annotations

import numpy as np
import pytest

from pyllm.gguf import GGUFFile
from pyllm.gguf.writer import NewTensor, write_gguf
from tests.corpus.builder import I16, STRING, U8, array, key
from tests.corpus.tiny_model import tiny_model


def tensors_of(file):
    return [
        NewTensor(info.name, info.type, info.shape, lambda name=info.name: file.data(name))
        for info in file.tensors.values()
    ]


def test_a_file_written_again_is_the_same(tmp_path):
    source, copy = tmp_path / "a.gguf", tmp_path / "b.gguf"
    model = tiny_model().set(key("x.small", -3, I16), array("x.bytes", U8, [1, 2]))
    model.set(array("x.pieces", STRING, [b"\xff\xfe", b"ok"]), key("split.count", 1))
    source.write_bytes(model.bytes())
    with GGUFFile.open(source) as file:
        write_gguf(copy, "llama", file.metadata, tensors_of(file))
        with GGUFFile.open(copy) as written:
            assert written.version == 3
            expected = set(file.metadata) - {"general.alignment", "split.count"}
            assert set(written.metadata) == expected
            for name in expected:
                assert written.metadata.type_name(name) == file.metadata.type_name(name)
            assert written.metadata["x.pieces"].raw(0) == b"\xff\xfe"
            assert written.metadata["x.small"] == -3
            assert list(written.tensors) == list(file.tensors)
            for name, info in file.tensors.items():
                assert written.tensors[name][1:3] == info[1:3]
                assert bytes(written.data(name)) == bytes(file.data(name))


def test_plain_values_get_natural_types(tmp_path):
    path = tmp_path / "m.gguf"
    values = {
        "a": True, "b": 1, "c": -1, "d": 1 << 40, "e": -(1 << 40), "f": 0.5, "g": "text",
        "h": ["x", "y"], "i": np.arange(3, dtype=np.float32), "j": np.array([True, False]),
    }  # fmt: skip
    write_gguf(path, "x", values, [NewTensor("w", 8, (32, 2), lambda: bytes(68))])
    with GGUFFile.open(path) as file:
        names = [file.metadata.type_name(name) for name in values]
        assert names == [
            "bool", "uint32", "int32", "uint64", "int64", "float32", "string", "array of string",
            "array of float32", "array of bool",
        ]  # fmt: skip
        assert file.metadata["e"] == -(1 << 40)
        assert file.tensors["w"][1:3] == (8, (32, 2))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (NewTensor("w", 8, (33,), lambda: b""), "not whole blocks of Q8_0"),
        (NewTensor("w", 0, (4,), lambda: bytes(15)), "15 bytes, needs 16"),
    ],
)
def test_data_that_does_not_fit_is_refused(tmp_path, tensor, message):
    with pytest.raises(ValueError, match=message):
        write_gguf(tmp_path / "m.gguf", "x", {"a": 1}, [tensor])


@pytest.mark.parametrize("value", [{}, [], np.empty(0, np.float32), object()])
def test_values_gguf_cannot_hold_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match=r"empty array|no type"):
        write_gguf(tmp_path / "m.gguf", "x", {"a": value}, [])
