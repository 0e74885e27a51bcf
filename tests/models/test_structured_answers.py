"""Structured output through the whole engine, with the embedded model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyllm import LLM, RequestError, SamplingParams
from pyllm.demo import demo_model

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "likes": {"type": "array", "items": {"enum": ["tea", "coffee", "milk"]}, "maxItems": 3},
    },
    "required": ["name", "age", "likes"],
    "additionalProperties": False,
}


def is_person(text: str) -> bool:
    person = json.loads(text)
    return (
        list(person) == ["name", "age", "likes"]
        and len(person["name"]) <= 12
        and 0 <= person["age"] <= 120
        and set(person["likes"]) <= {"tea", "coffee", "milk"}
    )


KINDS: dict[str, tuple[dict[str, Any], Callable[[str], object]]] = {
    "json": ({"json": PERSON}, is_person),
    "compact": ({"json": PERSON, "disable_any_whitespace": True}, is_person),
    "regex": ({"regex": "[0-9]{3}-[a-z]{1,9}!"}, re.compile("[0-9]{3}-[a-z]{1,9}!").fullmatch),
    "choice": ({"choice": ["Paris", "Perth", "Pa"]}, {"Paris", "Perth", "Pa"}.__contains__),
    "gbnf": (
        {"grammar": 'root ::= item (", " item){0,4}\nitem ::= "\\"" [a-z]{1,5} "\\"" | [0-9]{1,3}'},
        re.compile(r'("[a-z]{1,5}"|[0-9]{1,3})(, ("[a-z]{1,5}"|[0-9]{1,3})){0,4}').fullmatch,
    ),
}
PROMPTS = ["What is 3 + 4?", "Sort these words: pear, apple, lemon", "Who are you?"]


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM(demo_model(), num_threads=2) as llm:
        yield llm


def params_of(kind: str, seed: int, **params: Any) -> SamplingParams:
    return SamplingParams(structured_outputs=KINDS[kind][0], max_tokens=200, seed=seed, **params)


@pytest.mark.parametrize("temperature", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_valid_at_any_temperature(llm: LLM, kind: str, temperature: float) -> None:
    params = [params_of(kind, seed, temperature=temperature) for seed in range(9)]
    for output in llm.generate(PROMPTS * 3, params, use_tqdm=False):
        (answer,) = output.outputs
        assert answer.finish_reason == "stop"
        assert KINDS[kind][1](answer.text), answer.text


def test_company_changes_nothing(llm: LLM) -> None:
    """The same bytes alone and among free and structured requests, and the same logprob bits."""
    params = [params_of(kind, seed, logprobs=2) for seed, kind in enumerate(KINDS)]
    params += [params_of(kind, seed, n=2) for seed, kind in enumerate(KINDS)]
    params += [SamplingParams(max_tokens=40, seed=seed, logprobs=1) for seed in range(3)]
    prompts = [PROMPTS[i % 3] for i in range(len(params))]
    together = llm.generate(prompts, params, use_tqdm=False)
    for prompt, param, output in zip(prompts, params, together, strict=True):
        (alone,) = llm.generate(prompt, param, use_tqdm=False)
        assert alone.outputs == output.outputs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0, 1])
def test_log_probabilities_change_no_token(llm: LLM, kind: str, temperature: float) -> None:
    """With them forced tokens are sampled one by one, without them they are appended."""
    plain, sampled = (
        llm.generate(PROMPTS, params_of(kind, 5, **extra), use_tqdm=False)
        for extra in ({"temperature": temperature}, {"temperature": temperature, "logprobs": 0})
    )
    for left, right in zip(plain, sampled, strict=True):
        assert left.outputs[0].token_ids == right.outputs[0].token_ids
        assert len(right.outputs[0].logprobs or []) == len(right.outputs[0].token_ids)


def test_streams_bring_forced_tokens_too(llm: LLM) -> None:
    params = params_of("compact", 3)
    (whole,) = llm.chat([{"role": "user", "content": "Describe Ann."}], params, use_tqdm=False)
    deltas = list(llm.stream([{"role": "user", "content": "Describe Ann."}], params))
    assert "".join(delta.text for delta in deltas) == whole.outputs[0].text
    assert [t for delta in deltas for t in delta.token_ids] == whole.outputs[0].token_ids
    assert max(len(delta.token_ids) for delta in deltas) > 1


def test_a_request_with_a_bad_grammar_does_not_start(llm: LLM) -> None:
    with pytest.raises(RequestError, match=r"structured_outputs\.regex"):
        llm.generate(PROMPTS, SamplingParams(structured_outputs={"regex": "("}), use_tqdm=False)
    assert llm.generate(PROMPTS[0], SamplingParams(max_tokens=2), use_tqdm=False)
