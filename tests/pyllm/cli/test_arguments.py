"""From typed words to values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyllm.cli.arguments import CommandLineError, Parsed, parse
from pyllm.cli.commands import BENCH, RUN, SHOW, TOKENIZE


def run(*typed: str, **environ: str) -> Parsed:
    return parse(RUN, typed, environ)


def sampling(parsed: Parsed) -> dict[str, Any]:
    values = parsed.values["sampling"]
    assert isinstance(values, dict)
    return values


def test_defaults_are_llama_cpps() -> None:
    values = sampling(run("m.gguf"))
    assert (values["temperature"], values["top_k"]) == (0.8, 40)
    assert (values["top_p"], values["min_p"], values["max_tokens"]) == (0.95, 0.05, None)


def test_model_then_prompt_words() -> None:
    parsed = run("m.gguf", "-n", "5", "tell", "me", "--temp", "0", "more")
    assert (parsed.model, parsed.text) == ("m.gguf", "tell me more")
    assert sampling(parsed)["max_tokens"] == 5


def test_a_lone_sentence_is_a_prompt_for_the_embedded_model() -> None:
    assert (run("What is 3 + 4?").model, run("What is 3 + 4?").text) == (None, "What is 3 + 4?")


@pytest.mark.parametrize("word", ["llama3", "my model.gguf", "dir/model"])
def test_a_lone_word_or_file_is_a_model(word: str) -> None:
    assert (run(word).model, run(word).text) == (word, None)


def test_a_path_with_spaces_that_exists_is_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "my models"
    folder.mkdir()
    assert run(str(folder)).model == str(folder)


def test_m_leaves_all_words_to_the_prompt() -> None:
    parsed = run("-m", "m.gguf", "hello")
    assert (parsed.model, parsed.text) == ("m.gguf", "hello")


def test_short_and_long_spellings_are_one_flag() -> None:
    for spelling in ("-c", "--max-model-len", "--ctx-size"):
        assert run("m", spelling, "4K").values["engine"] == {
            "num_threads": None,
            "num_threads_batch": None,
            "max_model_len": 4096,
            "max_num_batched_tokens": 512,
            "packed_cache": False,
            "prefix_cache_dir": None,
            "prefix_cache_bytes": None,
            "spec_type": "auto",
            "model_draft": None,
            "draft_max": 16,
            "draft_min": None,
            "kv_cache_dtype": "auto",
            "cache_type_k": None,
            "cache_type_v": None,
        }
    assert sampling(run("m", "--temperature=0.5"))["temperature"] == 0.5
    assert run("m", "-sys", "be brief").values["system_prompt"] == "be brief"


def test_the_last_value_wins_and_stops_add_up() -> None:
    values = sampling(run("m", "--temp", "1", "--temp", "2", "--stop", "a", "-r", "b"))
    assert values["temperature"] == 2
    assert values["stop"] == ["a", "b"]


def test_values_may_begin_with_a_dash() -> None:
    assert sampling(run("m", "-n", "-1"))["max_tokens"] is None
    assert run("m", "-p", "-5 + 3 =").values["prompt"] == "-5 + 3 ="


def test_prompts_may_begin_with_a_dash() -> None:
    assert run("m", "-5 + 3 =").text == "-5 + 3 ="
    assert run("m", "--top secret files").text == "--top secret files"
    assert run("m", "--", "--top-k").text == "--top-k"
    assert run("m", "-").text == "-"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["m", "--temp", "banana"], "--temp: 'banana' is not a number; allowed: 0 or more"),
        (["m", "--temp=-1"], "--temp: -1 is out of range; allowed: 0 or more"),
        (["m", "--tmep", "1"], "unknown option --tmep; did you mean --temp?"),
        (["m", "--frobnicate"], "unknown option --frobnicate; see: pyllm run --help"),
        (["m", "-n"], "-n needs a value: -n N"),
        (["m", "--raw=yes"], "--raw takes no value, 'yes' was given"),
        (["m", "-t4"], "unknown option -t4"),
        (["m", "-ctk", "q5_1"], "-ctk: 'q5_1' is not known; allowed: f16, bf16, q8_0, q4_0"),
    ],
)
def test_mistakes_are_named(typed: list[str], message: str) -> None:
    with pytest.raises(CommandLineError) as error:
        run(*typed)
    assert str(error.value).startswith(message)


def test_words_a_command_does_not_take() -> None:
    with pytest.raises(CommandLineError, match=r"unexpected argument 'x'; usage: pyllm show MODEL"):
        parse(SHOW, ["m", "x"], {})


def test_environment_stands_in_for_flags() -> None:
    parsed = run("m", "--top-k", "3", PYLLM_TOP_K="9", PYLLM_TEMPERATURE="0", PYLLM_RAW="1")
    assert sampling(parsed)["top_k"] == 3
    assert sampling(parsed)["temperature"] == 0
    assert parsed.values["raw"] is True
    assert run("m", PYLLM_RAW="").values["raw"] is False
    with pytest.raises(CommandLineError, match=r"^PYLLM_TOP_K: 'many' is not a whole number"):
        run("m", PYLLM_TOP_K="many")


def test_model_from_the_environment_only_without_words() -> None:
    assert run(PYLLM_MODEL="e.gguf").model == "e.gguf"
    assert run("m.gguf", PYLLM_MODEL="e.gguf").model == "m.gguf"
    assert run("-p", "hi", PYLLM_MODEL="e.gguf").model == "e.gguf"


def test_flags_without_effect_leave_a_note() -> None:
    parsed = run("m", "-ngl", "99", "-fa", "on", "-np", "4", "hello")
    assert parsed.text == "hello"
    assert parsed.notes == [
        "-ngl/--n-gpu-layers/--gpu-layers has no effect: pyllm computes on the CPU",
        "-np/--parallel has no effect: requests share one pool of memory, there are no slots",
        "-fa/--flash-attn has no effect: attention is always computed in blocks",
    ]
    assert "n_gpu_layers" not in parsed.values


def test_prompts_have_threads_of_their_own() -> None:
    for spelling in ("-tb", "--num-threads-batch", "--threads-batch"):
        engine = run("m", "-t", "2", spelling, "4").values["engine"]
        assert (engine["num_threads"], engine["num_threads_batch"]) == (2, 4)
    assert run("m", PYLLM_NUM_THREADS_BATCH="3").values["engine"]["num_threads_batch"] == 3
    assert run("m", "-tb", "-1").values["engine"]["num_threads_batch"] is None


def test_bench_takes_lists() -> None:
    values = parse(BENCH, ["m", "-p", "128,1k", "-n", "0", "-t", "1,2", "-o", "csv"], {}).values
    assert values["n_prompt"] == [128, 1000]
    assert (values["n_gen"], values["num_threads"], values["output"]) == ([0], [1, 2], "csv")


def test_switches_turn_their_default_around() -> None:
    assert parse(TOKENIZE, ["m"], {}).values["add_special"] is True
    assert parse(TOKENIZE, ["m", "--no-bos"], {}).values["add_special"] is False
    assert parse(TOKENIZE, ["m"], {"PYLLM_NO_BOS": "1"}).values["add_special"] is False
    assert parse(TOKENIZE, ["m"], {"PYLLM_NO_BOS": "0"}).values["add_special"] is True
