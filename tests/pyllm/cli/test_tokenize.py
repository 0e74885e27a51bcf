"""pyllm tokenize: what it prints, as text and as JSON."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from pyllm.cli.tokenize import tokenize
from pyllm.errors import ModelFileError, TokenizerError
from tests.pyllm.cli.tiny_model import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.gguf")


def test_one_token_a_line_and_their_number(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenize(model, "Hé")
    assert capsys.readouterr().out.splitlines() == [
        "      1  '<s>'",
        "    259  ' '",
        "     75  'H'",
        "    198  b'\\xc3'",
        "    172  b'\\xa9'",
        "5 tokens (SPM)",
    ]


def test_json_has_ids_texts_and_bytes(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenize(model, "Hé", as_json=True, add_special=False)
    facts = json.loads(capsys.readouterr().out)
    assert facts["tokenizer"] == "SPM"
    assert facts["tokens"][1] == {"id": 75, "text": "H", "bytes": [72]}
    assert facts["tokens"][2] == {"id": 198, "text": None, "bytes": [0xC3]}


def test_special_tokens_in_the_text_count_when_asked(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenize(model, "</s>", add_special=False, parse_special=True)
    assert capsys.readouterr().out == "      2  '</s>'\n1 tokens (SPM)\n"


def test_control_characters_do_not_reach_the_terminal(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenize(model, "\x1b[2J\n")
    assert "\x1b" not in capsys.readouterr().out


def test_text_may_come_from_standard_input(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"H")))
    tokenize(model, add_special=False)
    assert capsys.readouterr().out.splitlines()[-2:] == ["     75  'H'", "2 tokens (SPM)"]


def test_what_cannot_be_encoded_is_an_error(model: Path) -> None:
    with pytest.raises(TokenizerError, match="surrogate"):
        tokenize(model, "\udcff")


def test_what_is_no_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"no model")
    with pytest.raises(ModelFileError):
        tokenize(path, "x")
