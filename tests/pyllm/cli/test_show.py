"""pyllm show: what it prints, as text and as JSON."""

from __future__ import annotations

import hashlib
import json

import pytest

from pyllm.cli.show import show
from pyllm.errors import ModelFileError
from tests.corpus.builder import Tensor, array, key
from tests.corpus.places import split_model
from tests.corpus.tiny_model import tiny_model

TEMPLATE = "".join(f"{{# line {number} #}}\n" for number in range(20))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.gguf"
    file = tiny_model().set(key("tokenizer.chat_template", TEMPLATE))
    file.set(key("general.license", "a\x1b[2J\nb"), key("x.nan", float("nan")))
    path.write_bytes(file.bytes())
    return path


def shown(capsys, path, **options) -> str:
    show(path, **options)
    return capsys.readouterr().out


def test_text_says_what_the_file_is(capsys, model):
    text = shown(capsys, model)
    for line in (
        "architecture         llama",
        "parameters           16,544",
        "context length       64",
        "heads                4",
        "kv heads             2",
        "runs                 yes",
        "  F32          20 tensors   64.6 KiB  100.0%",
        "tokens   32",
        "add bos  yes",
        f"SHA-256 {hashlib.sha256(TEMPLATE.encode()).hexdigest()} (270 bytes)",
        "  | {# line 11 #}",
        "… 8 more lines; --metadata prints all",
    ):
        assert line in text
    assert "line 12" not in text
    assert "Tensors" not in text


def test_text_cannot_drive_the_terminal(capsys, model):
    text = shown(capsys, model, metadata=True)
    assert "\x1b" not in text
    assert "general.license: string = a\\x1b[2J\\nb" in text


def test_metadata_and_tensors_are_listed(capsys, model):
    text = shown(capsys, model, metadata=True, tensors=True)
    assert "llama.block_count: uint32 = 2" in text
    assert "tokenizer.ggml.tokens: array of string = 32 elements ['t00', 't01'," in text
    assert "  | {# line 19 #}" in text
    line = next(line for line in text.splitlines() if line.startswith("  blk.1.ffn_down.weight"))
    assert line.split() == ["blk.1.ffn_down.weight", "F32", "48", "×", "32", "6.0", "KiB"]


def test_json_holds_the_same(capsys, model):
    facts = json.loads(shown(capsys, model, as_json=True, metadata=True, tensors=True))
    assert facts["model"]["parameters"] == 16544
    assert facts["model"]["runs"] == "yes"
    assert facts["types"] == [{"type": "F32", "tensors": 20, "bytes": 66176, "share": 1.0}]
    assert facts["tokenizer"]["bos"] == 1
    assert facts["template"]["text"] == TEMPLATE
    assert len(facts["tensors"]) == 20
    values = {row["key"]: row for row in facts["metadata"]}
    assert values["x.nan"]["value"] == "nan"
    assert values["tokenizer.ggml.scores"]["first"][:2] == [0.0, -1.0]
    assert values["tokenizer.ggml.scores"]["length"] == 32


def test_a_file_pyllm_cannot_run_is_still_shown(capsys, tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny_model(architecture="mamba").bytes())
    text = shown(capsys, path)
    assert "context length       64" in text
    assert "general.architecture: read 'mamba', allowed: one of" in text


def test_a_vocabulary_without_tensors_is_shown(capsys, tmp_path):
    path = tmp_path / "m.gguf"
    file = tiny_model()
    file.tensors = []
    path.write_bytes(file.bytes())
    text = shown(capsys, path)
    assert "parameters           0" in text
    assert "tensor 'token_embd.weight'" in text
    assert "Template\n  none" in text


def test_types_are_sorted_by_size(capsys, tmp_path):
    path = tmp_path / "m.gguf"
    file = tiny_model()
    file.tensors.append(Tensor(b"blk.1.extra", [256, 1000], 14, bytes(210_000)))
    path.write_bytes(file.bytes())
    facts = json.loads(shown(capsys, path, as_json=True))
    assert [row["type"] for row in facts["types"]] == ["Q6_K", "F32"]
    assert sum(row["share"] for row in facts["types"]) == pytest.approx(1.0)


def test_an_array_where_a_value_is_usual_is_named(capsys, tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny_model().set(array("llama.attention.head_count", 4, [4, 4])).bytes())
    assert "heads                array of uint32 (2)" in shown(capsys, path)


def test_warnings_go_to_stderr(capsys, tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny_model().bytes() + bytes(10))
    show(path)
    assert "10 bytes follow the last tensor" in capsys.readouterr().err


def test_a_split_model_is_one_model(capsys, tmp_path):
    text = shown(capsys, split_model(tmp_path)[0])
    assert "parts                3" in text
    assert "20 tensors" in text


def test_a_bad_file_is_an_error(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"<html>")
    with pytest.raises(ModelFileError, match="a web page"):
        show(path)
