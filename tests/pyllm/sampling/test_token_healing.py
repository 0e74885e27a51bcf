"""Prompts cut inside a word."""

import numpy as np
import pytest

from pyllm.engine.engine import Engine
from pyllm.errors import RequestError
from pyllm.sampling.params import SamplingParams
from pyllm.sampling.token_healing import HealingMask, TokenSpellings, tokens_to_take_back
from tests.pyllm.engine.test_engine import run
from tests.pyllm.fake_program import (
    BOS,
    EOS,
    N_VOCAB,
    FakeModel,
    FakeTokenizer,
    printable_logits,
    scripted,
)

TOKENIZER = FakeTokenizer()


def allowed(mask):
    words = mask.next_mask()
    return None if words is None else np.flatnonzero(
        np.unpackbits(words.view(np.uint8), bitorder="little")
    ).tolist()  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        (b"x s", 1),  # "st", "stop"
        (b"x st", 2),  # two letters that "stop" begins with
        (b"x sto", 3),
        (b"x stop", 0),  # no token is longer
        (b"x q", 0),
        (b"x ", 1),  # " the" and " end"
        (b"a", 1),
    ],
)
def test_what_a_longer_token_could_have_been_is_taken_back(prompt, count):
    assert tokens_to_take_back(TOKENIZER, [BOS, *prompt]) == count


def test_the_first_token_and_control_tokens_stay():
    assert tokens_to_take_back(TOKENIZER, [ord("s")]) == 0
    assert tokens_to_take_back(TOKENIZER, [ord("x"), EOS]) == 0
    assert tokens_to_take_back(TOKENIZER, [BOS, EOS, ord("s")]) == 1


def test_the_mask_follows_the_text_until_it_is_written():
    mask = HealingMask(TOKENIZER, b"sto")
    assert allowed(mask) == [ord("s"), 260, 262]
    mask.add(260)  # "st"
    assert allowed(mask) == [ord("o"), 261]
    mask.add(261)  # "op": past the end
    assert allowed(mask) is None


def test_tokens_that_share_a_spelling_are_all_there():
    class Twins(FakeTokenizer):
        def token_bytes(self, token):
            return b"st" if token == 264 else super().token_bytes(token)

    assert sorted(TokenSpellings(Twins()).towards(b"st")) == [ord("s"), 260, 262, 264]


@pytest.mark.parametrize("n", [1, 2])
def test_the_answer_begins_inside_the_word_and_its_text_behind_it(n):
    prompt = [BOS, *b"x st"]
    model = FakeModel(logits_of=scripted(3, [262, *b" it"]))  # "stop it" after BOS, "x", " "
    engine = Engine(model)
    params = SamplingParams(temperature=0, max_tokens=None, n=n)
    request = engine.make_request("x st", prompt, params, token_healing=True)
    output = run(engine, [request])[0]
    assert output.prompt == "x st"
    assert output.prompt_token_ids == [BOS, *b"x "]
    for answer in output.outputs:
        assert answer.token_ids == [262, *b" it", EOS]
        assert answer.text == "op it"


def test_other_tokens_cannot_be_chosen():
    engine = Engine(FakeModel(logits_of=lambda _: np.arange(N_VOCAB, dtype=np.float32)))
    params = SamplingParams(temperature=0, max_tokens=2)
    request = engine.make_request("x st", [BOS, *b"x st"], params, token_healing=True)
    answer = run(engine, [request])[0].outputs[0]
    assert answer.token_ids[0] == 262
    assert answer.text.startswith("op")


def test_a_grammar_leaves_no_room_for_healing():
    engine = Engine(FakeModel())
    params = SamplingParams(structured_outputs={"choice": ["a"]})
    with pytest.raises(RequestError, match="token_healing"):
        engine.make_request("x st", [BOS, *b"x st"], params, token_healing=True)


def test_healed_prompts_share_what_is_cached():
    engine = Engine(FakeModel(logits_of=printable_logits))
    params = SamplingParams(temperature=0, max_tokens=9)
    prompt = [BOS, *b"a prompt of more than one block, x st"]
    outputs = []
    for healing in (False, True, True):
        request = engine.make_request(None, prompt, params, token_healing=healing)
        outputs += run(engine, [request])
    assert [output.num_cached_tokens for output in outputs] == [0, 32, 32]
    assert outputs[1].outputs == outputs[2].outputs
