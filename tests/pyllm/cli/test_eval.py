"""pyllm eval: what it prints, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pyllm.cli.eval import own_text
from pyllm.cli.main import main
from tests.determinism.random_model import write_random_model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("It is a truth universally acknowledged. " * 8)
    return file


def test_perplexity_of_a_file(path: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["-f", str(text), "-c", "64", "--chunks", "2", "-t", "1"]
    assert main(["eval", "perplexity", str(path), *options]) == 0
    shown = capsys.readouterr().out
    assert "tokens predicted    64" in shown
    assert "keys and values     f16" in shown
    assert main(["eval", "perplexity", str(path), *options, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert f"perplexity          {facts['perplexity']:.4f}" in shown
    assert 1 < facts["perplexity"] < math.inf


def test_divergence_of_types(path: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["-f", str(text), "-c", "64", "--chunks", "2", "-t", "1", "--json"]
    found = {}
    for kinds in (["--kv", "q8_0"], ["--kv", "q8_0", "-ctv", "q4_0"], ["--base", str(path)]):
        assert main(["eval", "kld", str(path), *kinds, *options]) == 0
        facts = json.loads(capsys.readouterr().out)
        found[facts["kv"]] = facts["kld_mean"]
        assert facts["kld_median"] <= facts["kld_p99"] <= facts["kld_max"]
    assert found["f16"] == 0 < found["q8_0"] < found["q8_0,q4_0"]


def test_refusals(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "kld", str(path)]) == 2
    assert "nothing to compare" in capsys.readouterr().err
    short = tmp_path / "short.txt"
    short.write_text("too short")
    assert main(["eval", "perplexity", str(path), "-f", str(short)]) == 2
    assert "must have at least 512 tokens" in capsys.readouterr().err


def test_without_a_file_the_text_is_pyllm_itself() -> None:
    assert '"""`pyllm eval`' in own_text()
