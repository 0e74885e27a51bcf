"""The real stories260K model tells its published story, through every door of LLM."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyllm import LLM, ContextLengthError, SamplingParams

MATERIAL = Path(
    os.environ.get("PYLLM_TEST_MATERIAL", Path(__file__).parents[3] / "shared" / "material")
)
STORIES = MATERIAL / "weights" / "stories260K"

pytestmark = [
    pytest.mark.skipif(not STORIES.exists(), reason=f"{STORIES} is not there (optional material)"),
    pytest.mark.isa,
]

GREEDY = SamplingParams(temperature=0, max_tokens=256, ignore_eos=True)


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM(STORIES / "stories260K.gguf") as llm:
        yield llm


@pytest.fixture(scope="module")
def expected() -> dict:
    return json.loads((STORIES / "expected_greedy.json").read_text())


def test_generate_tells_the_published_story(llm: LLM, expected: dict) -> None:
    output = llm.generate("", GREEDY)[0]
    assert output.prompt_token_ids == expected["prompt_ids"]
    assert output.prompt_token_ids + output.outputs[0].token_ids == expected["greedy_ids"]
    assert output.outputs[0].text.startswith(expected["expected_published_text"])


def test_stream_tells_it_too(llm: LLM, expected: dict) -> None:
    text = "".join(delta.text for delta in llm.stream("", GREEDY))
    assert text.startswith(expected["expected_published_text"])


def test_a_text_prompt_continues_with_its_space(llm: LLM, expected: dict) -> None:
    story = expected["expected_published_text"]
    begin = "Once upon a time"
    text = llm.generate(begin, GREEDY)[0].outputs[0].text
    assert story.startswith(begin + text[: len(story) - len(begin)])


@pytest.mark.parametrize("stop", ["Lily", " big, red", ".\nLily's mom", "park. One"])
def test_stop_strings_that_span_tokens(llm: LLM, expected: dict, stop: str) -> None:
    story = expected["expected_published_text"]
    output = llm.generate("", SamplingParams(temperature=0, max_tokens=200, stop=stop))[0]
    assert output.outputs[0].text == story[: story.index(stop)]
    assert output.outputs[0].stop_reason == stop


@pytest.mark.slow
def test_threads_share_the_model(llm: LLM, expected: dict) -> None:
    def tell(number: int) -> str:
        params = GREEDY if number % 2 else SamplingParams(seed=number, max_tokens=100)
        return llm.generate("", params)[0].outputs[0].text

    with ThreadPoolExecutor(8) as pool:
        stories = list(pool.map(tell, range(16)))
    assert all(s.startswith(expected["expected_published_text"]) for s in stories[1::2])
    assert stories[::2] == [tell(number) for number in range(0, 16, 2)]
    assert len(set(stories)) == 9


def test_logprobs_are_those_of_the_whole_vocabulary(llm: LLM) -> None:
    params = SamplingParams(temperature=0, max_tokens=20, logprobs=20)
    output = llm.generate("Once upon a time", params)[0].outputs[0]
    assert output.logprobs is not None
    for token, entry in zip(output.token_ids, output.logprobs, strict=True):
        assert entry[token].rank == 1
        total = sum(2.718281828**value.logprob for value in entry.values())
        assert 0.5 < total <= 1.0001
    assert (
        "".join(
            entry[token].decoded_token or ""
            for token, entry in zip(output.token_ids, output.logprobs, strict=True)
        )
        == output.text
    )


def test_a_prompt_beyond_the_context_is_refused_with_both_counts(llm: LLM) -> None:
    limit = llm.model.max_model_len
    with pytest.raises(ContextLengthError) as raised:
        llm.generate({"prompt_token_ids": [5] * (limit + 7)})
    assert (raised.value.prompt_tokens, raised.value.max_model_len) == (limit + 7, limit)
