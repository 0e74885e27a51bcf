"""A reasoning block ends when its budget is spent."""

import pytest

from pyllm.engine.engine import Engine
from pyllm.errors import RequestError
from pyllm.sampling.params import SamplingParams
from pyllm.sampling.thinking_budget import can_limit_thinking
from tests.pyllm.engine.test_engine import run
from tests.pyllm.fake_program import BOS, THINK, FakeModel, FakeTokenizer, scripted

THINK_END = 267


class Reasoner(FakeTokenizer):
    """<think> is token 259, </think> token 267."""

    def encode(self, text, *, add_special=True, parse_special=False):
        markers = {"<think>": [THINK], "</think>": [THINK_END]}
        if parse_special and text in markers:
            return markers[text]
        return super().encode(text, add_special=add_special)


def answer(script, budget, prompt=(BOS, 1, 2)):
    model = FakeModel(logits_of=scripted(len(prompt), script), tokenizer=Reasoner())
    engine = Engine(model)
    params = SamplingParams(temperature=0, max_tokens=None, thinking_token_budget=budget)
    return run(engine, [engine.make_request(None, prompt, params)])[0].outputs[0].token_ids[:-1]


@pytest.mark.parametrize("budget", [0, 1, 3])
def test_a_block_of_the_answer_is_closed(budget):
    script = [5, THINK, *b"abcdef", *b"rest"]
    kept = script[: 2 + budget]
    assert answer(script, budget) == [*kept, THINK_END, *script[len(kept) + 1 :]]


def test_a_block_that_the_prompt_opened_counts_what_the_prompt_holds():
    script = list(b"abcdef")
    prompt = (BOS, THINK, 7, 8)
    assert answer(script, 3, prompt) == [ord("a"), THINK_END, *b"cdef"]
    assert answer(script, 1, prompt) == [THINK_END, *b"bcdef"]


@pytest.mark.parametrize("budget", [None, -1, 100])
def test_without_need_nothing_is_closed(budget):
    script = [THINK, *b"abc", THINK_END, *b"defgh"]
    assert answer(script, budget) == script


def test_every_block_has_the_budget_anew():
    script = [THINK, *b"ab", THINK_END, 5, THINK, *b"cd", THINK_END, 6]
    assert answer(script, 2) == script


def test_whose_thinking_can_be_limited():
    assert can_limit_thinking(Reasoner())
    assert not can_limit_thinking(FakeTokenizer())


def test_a_model_without_the_tokens_is_told():
    engine = Engine(FakeModel())
    with pytest.raises(RequestError, match="thinking_token_budget: 8: the model has no token <th"):
        engine.make_request(None, [BOS], SamplingParams(thinking_token_budget=8))
