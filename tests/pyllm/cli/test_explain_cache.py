"""pyllm explain-cache: where two prompts part, and what that costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyllm.cli import main
from pyllm.cli.arguments import CommandLineError, parse
from pyllm.cli.commands import EXPLAIN_CACHE
from pyllm.cli.explain_cache import compare, explain_cache
from pyllm.demo import demo_model
from pyllm.engine.sequence import Sequence
from pyllm.gguf import GGUFFile
from pyllm.kv.cache import KVCache
from pyllm.sampling.params import SamplingParams
from pyllm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def model() -> Path:
    return demo_model()


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Tokenizer:
    with GGUFFile.open(model) as file:
        return Tokenizer.from_gguf(file)


def test_the_place_and_the_text_around_it(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = "Once there was a cat that sat on a mat. " * 5
    explain_cache(
        model, [story + "It was red.", story + "It was blue and \x1bround."], block_size=16
    )
    text = capsys.readouterr().out
    assert "they diverge at token" in text
    assert "It was" in text.splitlines()[5]
    assert "red" in text.splitlines()[6]
    assert "blue" in text.splitlines()[7]
    assert "\x1b" not in text


def test_json(model: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]) -> None:
    explain_cache(model, ["the cat sat", "the dog sat"], as_json=True)
    facts = json.loads(capsys.readouterr().out)
    ids = [tokenizer.encode(text) for text in ("the cat sat", "the dog sat")]
    place = facts["divergence"]["token"]
    assert [facts["a_tokens"], facts["b_tokens"]] == [len(i) for i in ids]
    assert [facts["divergence"]["a_token"], facts["divergence"]["b_token"]] == [
        i[place] for i in ids
    ]
    assert ids[0][:place] == ids[1][:place]
    assert facts["shared_tokens"] == place


def test_a_prompt_may_be_a_file(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("the cat", "utf-8")
    explain_cache(model, [f"@{tmp_path / 'a.txt'}", "the cat"])
    assert "the prompts are equal" in capsys.readouterr().out
    (tmp_path / "b.txt").write_bytes(b"ab\xff")
    with pytest.raises(CommandLineError, match=r"UTF-8 text \(byte 2"):
        explain_cache(model, ["the cat", f"@{tmp_path / 'b.txt'}"])
    assert main(["explain-cache", str(model), "x", f"@{tmp_path / 'none'}"]) == 2


def test_one_prompt_may_continue_the_other(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explain_cache(model, ["the cat", "the cat sat on the mat"])
    assert "  A  ends here" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["a"], ["a", "b", "c"]])
def test_two_prompts_are_needed(model: Path, words: list[str]) -> None:
    with pytest.raises(CommandLineError, match=f"{len(words)} given"):
        explain_cache(model, words)


def test_words_stay_apart() -> None:
    parsed = parse(EXPLAIN_CACHE, ["m.gguf", "one prompt", "--json", "and another"], {})
    assert parsed.model == "m.gguf"
    assert parsed.values["prompts"] == ["one prompt", "and another"]


@pytest.mark.parametrize("shared", [0, 1, 3, 4, 5, 8, 9])
@pytest.mark.parametrize(("more_a", "more_b"), [(0, 0), (0, 3), (3, 0), (2, 5)])
def test_it_says_what_the_cache_does(
    tokenizer: Tokenizer, shared: int, more_a: int, more_b: int
) -> None:
    a = [1] * shared + [2] * more_a
    b = [1] * shared + [3] * more_b
    if not a or not b:
        return

    def sequence(ids: list[int]) -> Sequence:
        return Sequence("r", SamplingParams(), 0, len(ids), frozenset(), None, None, ids)

    cache = KVCache(16, 4)
    first = sequence(a)
    cache.attach(first, cache.lookup(first))
    cache.grow(first, len(a))
    first.num_computed_tokens = len(a)
    cache.settle(first)
    found = len(cache.lookup(sequence(b))) * 4
    sharing = compare(a, b, tokenizer, 4)
    assert (sharing.cached_tokens, sharing.shared_tokens) == (found, shared)
