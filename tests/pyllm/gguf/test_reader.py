"""GGUFFile: what it answers for good files, and how it ends."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pyllm.errors import ModelFileError, UnsupportedModelError
from pyllm.gguf import GGUFFile, StringArray
from tests.corpus.builder import F32, I8, Gguf, Tensor, array, key
from tests.corpus.places import split_model
from tests.corpus.tiny_model import tiny_model

MATERIAL = Path(
    os.environ.get("PYLLM_TEST_MATERIAL", Path(__file__).parents[4] / "shared" / "material")
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny_model().bytes())
    with GGUFFile.open(path) as file:
        yield file


def mappings(path: Path) -> int:
    return Path("/proc/self/maps").read_text().count(str(path))


def test_what_a_file_says_about_itself(model):
    assert model.version == 3
    assert model.alignment == 32
    assert model.warnings == ()
    assert isinstance(model.path, Path)
    assert model.part_paths == [model.path]
    assert "20 tensors" in repr(model)


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_a_path_may_be_text_bytes_or_path(tmp_path, kind):
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny_model().bytes())
    GGUFFile.open(kind(path)).close()


def test_metadata_values_have_python_types(model):
    assert model.metadata["general.name"] == "tiny"
    assert model.metadata["llama.block_count"] == 2
    assert model.metadata["tokenizer.ggml.add_bos_token"] is True
    assert model.metadata["llama.rope.freq_base"] == 10000.0
    assert model.metadata["tokenizer.ggml.tokens"][31] == "t31"
    scores = model.metadata["tokenizer.ggml.scores"]
    assert scores.dtype == np.float32
    assert scores.tolist() == [-float(i) for i in range(32)]


def test_get_checks_the_type(model):
    assert model.get("llama.block_count", int) == 2
    assert isinstance(model.get("tokenizer.ggml.tokens", StringArray), StringArray)
    assert len(model.get("tokenizer.ggml.scores", np.ndarray)) == 32
    for name, kind, text in (
        ("llama.block_count", str, "read 'uint32', allowed: a value of type str"),
        ("llama.block_count", float, "type float"),
        ("tokenizer.ggml.add_bos_token", int, "read 'bool', allowed: a value of type int"),
        ("tokenizer.ggml.scores", StringArray, "array of float32.*array of string"),
    ):
        with pytest.raises(ModelFileError, match=text) as caught:
            model.get(name, kind)
        assert caught.value.offset == model.metadata.offset(name)


def test_get_without_the_key(model):
    assert model.get("no.such.key", int, 7) == 7
    assert model.get("no.such.key", int, None) is None
    with pytest.raises(ModelFileError, match=r"no\.such\.key: the key is missing"):
        model.get("no.such.key", int)


def test_tensor_data_are_the_bytes_of_the_file(model):
    expected = tiny_model()
    content = model.path.read_bytes()
    assert list(model.tensors) == [tensor.name.decode() for tensor in expected.tensors]
    for tensor in expected.tensors:
        name = tensor.name.decode()
        info = model.tensors[name]
        assert bytes(model.data(name)) == tensor.data
        assert content[info.offset : info.offset + info.nbytes] == tensor.data
        assert info.shape == tuple(tensor.dims)
        assert info.type_name == "F32"
        assert info.num_elements * 4 == info.nbytes


def test_tensor_data_cannot_be_written(model):
    with pytest.raises(TypeError, match="read-only"):
        model.data("token_embd.weight")[0] = 1


def test_unknown_tensor_is_a_key_error(model):
    with pytest.raises(KeyError):
        model.data("no.such.tensor")


def test_a_tensor_without_elements_has_no_data(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(Gguf([key("general.architecture", "x")], [Tensor(b"w", [0, 4])]).bytes())
    with GGUFFile.open(path) as file:
        assert file.tensors["w"].num_elements == 0
        with pytest.raises(ModelFileError, match=r"'w': dimensions: read \[0, 4\]"):
            file.data("w")


def test_close_unmaps_the_file(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny_model().bytes())
    file = GGUFFile.open(path)
    assert mappings(path) == 1
    scores = file.metadata["tokenizer.ggml.scores"]
    tokens = file.metadata["tokenizer.ggml.tokens"]
    file.close()
    assert mappings(path) == 0
    assert scores[1] == -1.0  # numeric arrays are copies
    assert file.metadata["general.name"] == "tiny"  # scalars stay
    assert "tokenizer.ggml.tokens" not in file.metadata
    with pytest.raises(ValueError, match="closed"):
        tokens.tolist()
    file.close()  # a second time does nothing


def test_a_view_keeps_its_mapping_alive_after_close(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny_model().bytes())
    with GGUFFile.open(path) as file:
        view = file.data("output_norm.weight")
    del file
    assert mappings(path) == 1
    assert bytes(view) == tiny_model().tensor("output_norm.weight").data
    del view
    assert mappings(path) == 0


def test_errors_name_the_place(model):
    error = model.error("general.name", "tiny", "another", "do this")
    assert error.offset == model.metadata.offset("general.name")
    offset = model.tensors["blk.0.attn_q.weight"].offset
    kind = UnsupportedModelError
    other = model.tensor_error("blk.0.attn_q.weight", "shape", (1,), "(2,)", "", kind)
    assert isinstance(other, kind)
    assert other.offset == offset
    assert str(other) == (
        f"{model.path}:{offset}: tensor 'blk.0.attn_q.weight': shape: read [1], allowed: (2,)"
    )


def test_split_model_is_one_file(tmp_path):
    paths = split_model(tmp_path)
    with GGUFFile.open(paths[0]) as file:
        assert file.part_paths == paths
        assert len(file.tensors) == 20
        for tensor in tiny_model().tensors:
            assert bytes(file.data(tensor.name.decode())) == tensor.data
        assert {info.part for info in file.tensors.values()} == {0, 1, 2}
        error = file.tensor_error("output_norm.weight", "type", "F32", "F16")
        assert error.path == str(paths[1])
    assert all(mappings(path) == 0 for path in paths)


def test_array_of_signed_bytes_and_empty_arrays(tmp_path):
    path = tmp_path / "m.gguf"
    file = Gguf([key("general.architecture", "x"), array("a", I8, [-1, 2])])
    file.set(array("none", F32, []), array("no.strings", 8, []), array("flags", 7, [1, 0]))
    path.write_bytes(file.bytes())
    with GGUFFile.open(path) as opened:
        assert opened.metadata["a"].tolist() == [-1, 2]
        assert opened.metadata["none"].tolist() == []
        assert opened.metadata["no.strings"].tolist() == []
        assert opened.metadata["flags"].tolist() == [True, False]
        assert opened.metadata["flags"].dtype == np.bool_
        assert opened.metadata.first("a", 1) == [-1]
        assert opened.metadata.first("flags", 9) == [True, False]
        assert opened.metadata.first("no.strings", 3) == []


REAL_FILES = sorted(MATERIAL.glob("tokenizers/ggml-vocab/*.gguf")) + sorted(
    MATERIAL.glob("weights/**/*.gguf")
)


@pytest.mark.skipif(not REAL_FILES, reason=f"no test material in {MATERIAL}")
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.name)
def test_real_file_reads_as_the_gguf_package_reads_it(path):
    gguf = pytest.importorskip("gguf")
    expected = gguf.GGUFReader(path)
    with GGUFFile.open(path) as file:
        assert file.warnings == ()
        names = [name for name in expected.fields if not name.startswith("GGUF.")]
        assert list(file.metadata) == names
        for name in names:
            value = file.metadata[name]
            if isinstance(value, StringArray):
                field = expected.fields[name]
                assert [value.raw(i) for i in (0, -1)] == [
                    bytes(field.parts[field.data[i]]) for i in (0, -1)
                ]
                assert len(value) == len(field.data)
            elif isinstance(value, np.ndarray):
                assert value.tolist() == expected.fields[name].contents()
            else:
                assert value == expected.fields[name].contents()
        for tensor in expected.tensors:
            assert bytes(file.data(tensor.name)) == tensor.data.tobytes()
