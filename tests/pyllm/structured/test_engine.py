"""Requests with a grammar: valid whatever the model says, and alone with their faults."""

import json
import math
import re

import numpy as np
import pytest

from pyllm import RequestError
from pyllm.engine.engine import Engine
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from pyllm.sampling.token_mask import AllowedTokens
from pyllm.structured import StructuredOutputsParams
from tests.pyllm.fake_program import BOS, EOS, FakeModel, hashed_logits, scripted

FINAL = RequestOutputKind.FINAL_ONLY
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 99}, "y": {"type": "boolean"}},
    "required": ["x", "y"],
    "additionalProperties": False,
}


def is_point(text):
    point = json.loads(text)
    return list(point) == ["x", "y"] and 0 <= point["x"] <= 99 and isinstance(point["y"], bool)


def nested(text):
    depth = text.count("(")
    return text == "(" * depth + "x" + ")" * depth


KINDS = {
    "json": ({"json": POINT}, is_point),
    "compact": ({"json": POINT, "disable_any_whitespace": True}, is_point),
    "regex": ({"regex": r"[a-c]{2,5}-[0-9]{3}"}, re.compile(r"[a-c]{2,5}-[0-9]{3}").fullmatch),
    "choice": ({"choice": ["red", "green", "grey"]}, {"red", "green", "grey"}.__contains__),
    "gbnf": ({"grammar": 'root ::= "(" root ")" | "x"'}, nested),
    "lark": ({"grammar": 'start: "(" start ")" | "x"'}, nested),
}


def params_of(kind, **params):
    structured = StructuredOutputsParams(**KINDS[kind][0])
    return SamplingParams(
        structured_outputs=structured, max_tokens=200, output_kind=FINAL, **params
    )


def run(engine, requests):
    for request in requests:
        engine.add(request)
    outputs = {}
    while engine.has_unfinished():
        outputs |= {output.request_id: output for output in engine.step()}
        engine.scheduler.check()
    return [outputs[request.request_id] for request in requests]


def complete(params, *, prompt=(BOS, 1, 2), **model):
    engine = Engine(FakeModel(**model))
    return run(engine, [engine.make_request(None, prompt, params)])[0].outputs


@pytest.mark.parametrize("temperature", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_valid_whatever_the_model_says(kind, temperature):
    for seed in range(5):
        outputs = complete(params_of(kind, temperature=temperature, seed=seed, n=2))
        for output in outputs:
            if output.finish_reason == "stop":
                assert KINDS[kind][1](output.text), output.text
            else:  # brackets and blanks may go on for ever
                assert (output.finish_reason, kind) in {("length", "gbnf"), ("length", "lark")}


def test_the_end_is_written_when_nothing_else_may_follow():
    (output,) = complete(params_of("choice", temperature=0))
    assert output.token_ids == [*output.text.encode(), EOS]
    assert (output.finish_reason, output.stop_reason) == ("stop", None)


@pytest.mark.parametrize("extra", [{"ignore_eos": True}, {"min_tokens": 50}])
def test_a_complete_answer_ends_whatever_else_is_asked(extra):
    (output,) = complete(params_of("choice", seed=1, **extra))
    assert output.finish_reason == "stop"
    assert output.text in ("red", "green", "grey")


def test_forced_tokens_save_steps():
    engine = Engine(FakeModel())
    structured = {"regex": "[ab]" + "c" * 40}
    params = SamplingParams(structured_outputs=structured, max_tokens=100, output_kind=FINAL)
    (output,) = run(engine, [engine.make_request(None, [BOS, 1], params)])
    assert len(output.outputs[0].token_ids) == 42
    assert engine.model.program.num_steps == 1
    structured = {"regex": "[ab]" + "c" * 40 + "[ab]"}
    params = SamplingParams(structured_outputs=structured, max_tokens=100, output_kind=FINAL)
    (output,) = run(engine, [engine.make_request(None, [BOS, 1], params)])
    assert len(output.outputs[0].token_ids) == 43
    assert engine.model.program.num_steps == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0, 1.5])
def test_log_probabilities_change_no_token(kind, temperature):
    """With them every token is sampled, without them forced ones are appended."""
    plain = complete(params_of(kind, temperature=temperature, seed=3))[0]
    with_logprobs = complete(params_of(kind, temperature=temperature, seed=3, logprobs=2))[0]
    assert with_logprobs.token_ids == plain.token_ids
    assert len(with_logprobs.logprobs) == len(plain.token_ids)
    tokens = [BOS, 1, 2]
    for token, entry in zip(plain.token_ids, with_logprobs.logprobs, strict=True):
        logits = hashed_logits(tokens).astype(np.float64)
        assert entry[token].logprob == pytest.approx(logits[token] - np.log(np.exp(logits).sum()))
        tokens.append(token)


def test_processors_are_asked_for_forced_tokens_too():
    asked = []
    params = SamplingParams(
        structured_outputs={"regex": "[ab]cdef[gh]"}, max_tokens=50, output_kind=FINAL,
        logits_processors=[lambda _, output, logits: asked.append(bytes(output))],
    )  # fmt: skip
    (output,) = complete(params)
    assert re.fullmatch("[ab]cdef[gh]", output.text)
    assert asked[:6] == [output.text.encode()[:length] for length in range(6)]


@pytest.mark.parametrize(
    "forbidden", [{"allowed_token_ids": list(b"abcd")}, {"logit_bias": {ord("e"): -math.inf}}]
)
@pytest.mark.parametrize("logprobs", [None, 1])
def test_forced_tokens_may_be_forbidden(logprobs, forbidden):
    """Whoever forces a token: what a request does not allow is not written."""
    params = SamplingParams(
        structured_outputs={"regex": "[ab]cdef[gh]"}, max_tokens=50, output_kind=FINAL,
        logprobs=logprobs, **forbidden,
    )  # fmt: skip
    (output,) = complete(params)
    assert (output.finish_reason, output.stop_reason) == ("error", "no_token_allowed")
    assert output.text[1:] == "cd"


@pytest.mark.parametrize("max_tokens", [1, 2, 5, 9])
def test_max_tokens_cuts_forced_tokens_too(max_tokens):
    params = SamplingParams(
        structured_outputs={"regex": "[ab]cdefgh[ij]"}, max_tokens=max_tokens, output_kind=FINAL
    )
    (output,) = complete(params)
    assert len(output.token_ids) == max_tokens
    assert output.finish_reason == ("length" if max_tokens < 9 else "stop")


def test_a_stop_string_ends_among_forced_tokens():
    params = SamplingParams(
        structured_outputs={"regex": "[ab]cdefgh[ij]"}, stop="ef", max_tokens=50, output_kind=FINAL
    )
    (output,) = complete(params)
    assert output.text in ("acd", "bcd")
    assert (output.finish_reason, output.stop_reason) == ("stop", "ef")


def mixed_requests(engine):
    """Structured and free requests, each with the name of what it is."""
    requests = []
    for number, kind in enumerate([*KINDS, None, *KINDS, None]):
        extra = {"seed": number, "temperature": 1 + number % 2, "n": 1 + number % 2}
        params = (
            SamplingParams(max_tokens=20, output_kind=FINAL, **extra)
            if kind is None
            else params_of(kind, **extra)
        )
        prompt = [BOS, *range(1, 3 + 5 * (number % 3))]
        requests.append(engine.make_request(None, prompt, params, str(number)))
    return requests


def test_neighbours_and_preemption_change_nothing():
    size = {"max_model_len": 60, "block_size": 1, "num_kv_blocks": 800}
    engine = Engine(FakeModel(**size))
    alone = [run(engine, [request])[0].outputs for request in mixed_requests(engine)]
    tight = {"num_kv_blocks": 60, "max_num_batched_tokens": 9}
    for model in ({}, {"max_num_seqs": 3}, tight):
        engine = Engine(FakeModel(**{**size, **model}))
        together = run(engine, mixed_requests(engine))
        assert [output.outputs for output in together] == alone
    assert sum(output.metrics.num_preemptions for output in together) > 0


def test_a_grammar_that_fails_on_the_way_ends_alone():
    """A matcher that exceeds its limits: the continuation keeps its text and says why it ended."""
    engine = Engine(FakeModel())
    expected = run(engine, mixed_requests(engine))

    engine = Engine(FakeModel())
    requests = mixed_requests(engine)
    wide = "start: " + " | ".join(f'"x{i}" start' for i in range(3000))  # too many ways to go on
    grammar = {"grammar": wide}
    params = SamplingParams(structured_outputs=grammar, max_tokens=150, output_kind=FINAL, seed=1)
    hostile = engine.make_request(None, [BOS, 7], params, "hostile")
    *outputs, failed = run(engine, [*requests, hostile])
    assert [o.outputs for o in outputs] == [o.outputs for o in expected]
    (output,) = failed.outputs
    assert output.finish_reason == "error"
    assert output.stop_reason.startswith("structured_outputs: Parser Error")


def test_a_mask_and_a_grammar_limit_together():
    engine = Engine(FakeModel())
    params = params_of("regex", seed=1)
    request = engine.make_request(None, [BOS, 1], params)
    allowed = AllowedTokens([*b"a-123", EOS], 272)
    request.continuations[0].sequence.mask = allowed
    (output,) = run(engine, [request])[0].outputs
    assert set(output.text) <= set("a-123")
    assert KINDS["regex"][1](output.text)
    request = engine.make_request(None, [BOS, 1], params)
    request.continuations[0].sequence.mask = AllowedTokens([*b"xyz"], 272)
    (output,) = run(engine, [request])[0].outputs
    assert (output.finish_reason, output.stop_reason) == ("error", "no_token_allowed")


def test_the_structure_follows_the_reasoning():
    text = "I think</think>"
    model = {"logits_of": scripted(3, [*text.encode(), *b"zzz"])}
    params = SamplingParams(
        structured_outputs={"regex": "[0-9]{3}", "after": "</think>"},
        temperature=0, max_tokens=100, output_kind=FINAL,
    )  # fmt: skip
    (output,) = complete(params, **model)
    assert re.fullmatch(r"I think</think>[0-9]{3}", output.text)


def test_nobody_guesses_tokens_of_a_grammar():
    engine = Engine(FakeModel())
    free = engine.make_request(None, [BOS], SamplingParams())
    structured = engine.make_request(None, [BOS], params_of("choice"))
    assert not free.continuations[0].sequence.is_masked
    assert structured.continuations[0].sequence.is_masked


def test_a_finished_sequence_keeps_no_grammar():
    engine = Engine(FakeModel())
    requests = [engine.make_request(None, [BOS], params_of("choice")) for _ in range(20)]
    run(engine, requests)
    assert all(request.continuations[0].sequence.grammar is None for request in requests)


def test_bad_grammars_are_errors_of_the_request():
    engine = Engine(FakeModel())
    with pytest.raises(RequestError, match=r"structured_outputs\.regex"):
        engine.make_request(None, [BOS], SamplingParams(structured_outputs={"regex": "("}))
    assert not engine.has_unfinished()
