"""`pyllm bench throughput`, with the real engine and a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyllm.cli import main
from pyllm.demo import demo_model
from pyllm.llm import LLM
from tests.pyllm.cli.tiny_model import write_tiny_model

OPTIONS = ["--num-prompts", "5", "--input-len", "9", "--output-len", "6", "-t", "1"]


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return str(write_tiny_model(tmp_path / "m.gguf"))


def test_random_prompts(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["bench", "throughput", tiny, *OPTIONS, "--prefix-len", "4"]
    assert main([*typed, "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["completed"], found["failed"]) == (5, 0)
    assert (found["total_input_tokens"], found["total_output_tokens"]) == (5 * 13, 5 * 6)
    assert found["output_throughput"] * found["duration"] == pytest.approx(30)
    assert main(typed) == 0
    assert "| Total generated tokens          |" in capsys.readouterr().out


def test_a_data_set(tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "ab"}\n{"prompt_token_ids": [4, 5, 6], "output_tokens": 2}\n')
    typed = ["bench", "throughput", tiny, *OPTIONS, "--dataset", str(path), "-o", "json"]
    assert main(typed) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["completed"] == 2
    assert found["total_output_tokens"] == 6 + 2


def test_every_engine_flag_reaches_the_model(
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = []
    start = LLM.__init__

    def spy(self: LLM, *args: object, **given: object) -> None:
        options.append(given)
        start(self, *args, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(LLM, "__init__", spy)
    typed = ["bench", "throughput", tiny, *OPTIONS]
    cache = ["--prefix-cache-dir", str(tmp_path / "cache"), "--prefix-cache-bytes", "32M"]
    assert main([*typed, *cache, "--spec-type", "none"]) == 0
    assert main([*typed, "--spec-type", "ngram", "--draft-max", "4"]) == 0
    without, with_guesses = options
    assert without["speculative_config"] is False
    assert without["prefix_cache_bytes"] == 32 * 2**20
    assert (tmp_path / "cache").is_dir()
    assert with_guesses["speculative_config"].num_speculative_tokens == 4  # type: ignore[attr-defined]


def test_the_sampling_is_the_one_asked_for(
    tiny: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    generate = LLM.generate

    def spy(self: LLM, prompts: object, params: object = None, **options: object) -> object:
        asked.append(params)
        return generate(self, prompts, params, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(LLM, "generate", spy)
    assert main(["bench", "throughput", tiny, *OPTIONS, "--temp", "0.5", "--top-k", "3"]) == 0
    _warm_up, params = asked
    assert {(p.temperature, p.top_k, p.max_tokens, p.ignore_eos) for p in params} == {
        (0.5, 3, 6, True)
    }


def test_what_does_not_fit_is_refused(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "throughput", tiny, *OPTIONS, "-c", "14"]) == 2
    assert "15 tokens, the context holds 14" in capsys.readouterr().err


def test_the_demo_model(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["bench", "throughput", str(demo_model()), *OPTIONS, "-o", "json"]
    assert main(typed) == 0
    assert json.loads(capsys.readouterr().out)["total_output_tokens"] == 30
