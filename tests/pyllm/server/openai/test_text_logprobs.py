from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyllm.demo import demo_model
from pyllm.gguf import GGUFFile
from pyllm.outputs import Logprob
from pyllm.server.openai.text_logprobs import TextLogprobs
from pyllm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Iterator[Tokenizer]:
    path = demo_model()
    assert isinstance(path, Path)
    with GGUFFile.open(path) as file:
        yield Tokenizer.from_gguf(file)


def fed(tokenizer: Tokenizer, text: str, size: int = 1000) -> TextLogprobs:
    """Has been told of the tokens of `text`, `size` at a time."""
    ids = tokenizer.encode(text, add_special=False, parse_special=True)
    logprobs = TextLogprobs(tokenizer, 1)
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        logprobs.add(part, [{token: Logprob(math.log(0.5))} for token in part])
    return logprobs


def joined(entries: list[dict[str, object]]) -> str:
    return "".join(str(entry["token"]) for entry in entries)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_each_part_has_its_own_tokens(tokenizer: Tokenizer, size: int) -> None:
    text = "<think>It is 7.</think>\n\nIt is 7. I say it.<|end|>"
    logprobs = fed(tokenizer, text, size)
    assert "It is 7." in joined(logprobs.of_part("It is 7."))
    answer = logprobs.of_part("It is 7. I say it.")
    assert joined(answer).lstrip() == "It is 7. I say it."
    assert all(len(entry["top_logprobs"]) == 1 for entry in answer)


def test_the_token_that_ends_an_answer_is_no_part_of_it(tokenizer: Tokenizer) -> None:
    assert joined(fed(tokenizer, "Yes.<|end|>").of_part("Yes.")).lstrip() == "Yes."


def test_a_text_that_the_tokens_did_not_write_has_all_of_them(tokenizer: Tokenizer) -> None:
    logprobs = fed(tokenizer, "Yes.")
    assert logprobs.of_part("\ufffd") == logprobs.take_new()


def test_new_ones_are_taken_once(tokenizer: Tokenizer) -> None:
    logprobs = fed(tokenizer, "One two")
    assert joined(logprobs.take_new()).lstrip() == "One two"
    assert logprobs.take_new() == []
