"""Requests for the benches: random ones, and those of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.bench_workload import (
    Lengths,
    Source,
    check_lengths,
    engine_options,
    make_items,
    random_items,
    warm_up,
)
from tests.pyllm.fake_program import N_VOCAB, FakeTokenizer

LENGTHS = Lengths(prefix_len=3, input_len=5, output_len=7)


def written(folder: Path, *lines: object) -> str:
    path = folder / "prompts.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text), "utf-8")
    return str(path)


def test_random_requests_share_their_prefix_and_nothing_else() -> None:
    items = make_items(Source(20, None, LENGTHS, 1), FakeTokenizer())
    prompts = [item.prompt_token_ids for item in items]
    assert {len(prompt) for prompt in prompts} == {8}
    assert len({tuple(prompt[:3]) for prompt in prompts}) == 1
    assert len({tuple(prompt[3:]) for prompt in prompts}) == 20
    assert {item.num_tokens for item in items} == {LENGTHS.total}
    assert all(0 <= token < N_VOCAB for prompt in prompts for token in prompt)


def test_a_seed_means_the_same_requests() -> None:
    assert random_items(LENGTHS, 3, 100, 1) == random_items(LENGTHS, 5, 100, 1)[:3]
    assert random_items(LENGTHS, 3, 100, 1) != random_items(LENGTHS, 3, 100, 2)


def test_lines_of_a_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"prompt": "ab", "output_tokens": 3},
        "",
        {"prompt_token_ids": [5, 6], "category": "ignored"},
        {"prompt": "c"},
    )
    items = make_items(Source(10, path, LENGTHS, 0), FakeTokenizer())
    assert [item.prompt_token_ids for item in items] == [[256, 97, 98], [5, 6], [256, 99]]
    assert [item.output_len for item in items] == [3, 7, 7]
    assert make_items(Source(2, path, LENGTHS, 0), FakeTokenizer()) == items[:2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: "),
        ([1], "line 2: is no JSON object"),
        ({"text": "a"}, 'line 2: .*"prompt" or "prompt_token_ids"'),
        ({"prompt": 5}, "line 2: .*must be text"),
        ({"prompt": "a", "output_tokens": 0}, "line 2: output_tokens.*1 or more"),
        ({"prompt": "a", "output_tokens": True}, "line 2: output_tokens"),
        ({"prompt_token_ids": [10**6]}, "line 2: .*less than 272"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    path = written(tmp_path, {"prompt": "a"}, line)
    with pytest.raises(CommandLineError, match=message):
        make_items(Source(10, path, LENGTHS, 0), FakeTokenizer())


def test_a_file_without_prompts(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match="has no prompts"):
        make_items(Source(10, written(tmp_path, ""), LENGTHS, 0), FakeTokenizer())
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CommandLineError, match="not UTF-8"):
        make_items(Source(10, str(tmp_path / "binary"), LENGTHS, 0), FakeTokenizer())


def test_the_context_is_as_long_as_random_requests_unless_told() -> None:
    guessing = {"spec_type": "none", "model_draft": None, "draft_max": 16, "draft_min": None}
    options = {"max_model_len": None, "num_threads": 2, **guessing}
    expected = {"max_model_len": None, "num_threads": 2, "speculative_config": False}
    random, lines = Source(1, None, LENGTHS, 0), Source(1, "file", LENGTHS, 0)
    assert engine_options(options, random) == {**expected, "max_model_len": 15}
    assert engine_options(options, lines) == expected
    assert engine_options({**options, "max_model_len": 9}, random)["max_model_len"] == 9


def test_answers_that_would_be_cut_are_refused() -> None:
    items = random_items(LENGTHS, 2, 100, 0)
    check_lengths(items, 15)
    with pytest.raises(CommandLineError, match=r"15 tokens, the context holds 14; .*-c"):
        check_lengths(items, 14)


def test_the_warm_up_fits_and_is_another_prompt() -> None:
    source = Source(1, None, LENGTHS, 0)
    assert len(warm_up(source, 100, 8)["prompt_token_ids"]) == 7
    prompt = warm_up(source, 100, 4096)["prompt_token_ids"]
    assert prompt[:8] != make_items(source, FakeTokenizer())[0].prompt_token_ids
