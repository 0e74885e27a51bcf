"""pyllm embed: what it prints, as text and as JSON, and where texts come from."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pyllm import LLM, PoolingParams
from pyllm.cli import main
from tests.support.reference_models import model_path

MODEL = str(model_path("qwen3"))


def vectors(*texts: str, **params: object) -> list[list[float]]:
    with LLM(MODEL) as llm:
        outputs = llm.embed(list(texts), PoolingParams(**params))  # type: ignore[arg-type]
    return [output.outputs.embedding for output in outputs]  # type: ignore[misc]


def printed(text: str) -> list[list[float]]:
    return [np.array(json.loads(line), np.float32).tolist() for line in text.splitlines()]


def test_a_line_for_each_text_gives_its_float32_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", MODEL, "hello", "there you are"]) == 0
    assert printed(capsys.readouterr().out) == vectors("hello", "there you are")


def test_flags(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--dimensions", "5", "--pooling", "mean", "--no-normalize"]
    assert main(["embed", MODEL, "hello", *flags]) == 0
    expected = vectors("hello", dimensions=5, pooling_type="mean", normalize=False)
    assert printed(capsys.readouterr().out) == expected


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", MODEL, "hello", "x", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == MODEL
    assert [row["index"] for row in facts["data"]] == [0, 1]
    assert [row["tokens"] for row in facts["data"]] == [7, 3]
    assert np.array(facts["data"][1]["embedding"], np.float32).tolist() == vectors("x")[0]


def test_a_vector_for_each_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", MODEL, "x", "--pooling", "none", "--dimensions", "2"]) == 0
    assert np.array(json.loads(capsys.readouterr().out)).shape == (3, 2)


def test_lines_of_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello\n\nx\n")))
    assert main(["embed", MODEL]) == 0
    assert printed(capsys.readouterr().out) == vectors("hello", "x")


def test_no_text_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert main(["embed", MODEL]) == 2
    assert "no text: standard input is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--dimensions", "65"], "--dimensions: 65: must be at least 1 and at most 64"),
        ([""], "is empty; there is nothing to read"),
        (["x" * 300], "the context holds 256"),
    ],
)
def test_what_cannot_be_embedded_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["embed", MODEL, *arguments]) != 0
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_file_that_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"no")
    assert main(["embed", str(path), "x"]) != 0
    assert len(capsys.readouterr().err.splitlines()) == 1
