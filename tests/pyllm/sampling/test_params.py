"""SamplingParams: defaults, limits, and refusals that name the field."""

from dataclasses import fields, replace

import numpy as np
import pytest

from pyllm.errors import RequestError
from pyllm.sampling.params import DefaultMaxTokens, RequestOutputKind, SamplingParams
from pyllm.sampling.repetition import RepetitionDetectionParams

NAN, INF = float("nan"), float("inf")


def test_defaults_are_those_of_vllm():
    params = SamplingParams()
    assert (params.temperature, params.top_k, params.top_p, params.min_p) == (1.0, 0, 1.0, 0.0)
    assert (params.n, params.max_tokens, params.min_tokens, params.seed) == (1, 16, 0, None)
    assert params.output_kind is RequestOutputKind.CUMULATIVE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 0), ("n", 129), ("n", True), ("n", 1.0), ("n", "2"),
        ("temperature", -0.1), ("temperature", NAN), ("temperature", INF), ("temperature", "hot"),
        ("temperature", None), ("temperature", 1e39), ("temperature", True),
        ("top_p", 0.0), ("top_p", 1.1), ("top_p", NAN), ("top_k", -2), ("top_k", 1.5),
        ("top_k", 2**31), ("min_p", -0.1), ("min_p", 1.01),
        ("repetition_penalty", 0.0), ("repetition_penalty", -1.0), ("repetition_penalty", INF),
        ("presence_penalty", 2.1), ("frequency_penalty", -2.1), ("frequency_penalty", NAN),
        ("seed", 2**64), ("seed", 1.0), ("seed", -(2**63) - 1),
        ("max_tokens", 0), ("max_tokens", -1), ("max_tokens", 2**31), ("min_tokens", -1),
        ("min_tokens", 17), ("logprobs", -2), ("logprobs", True), ("prompt_logprobs", -2),
        ("stop", ""), ("stop", ["a", ""]), ("stop", [1]), ("stop", 5), ("stop", ["x" * 70_000]),
        ("stop_token_ids", [-1]), ("stop_token_ids", [True]), ("stop_token_ids", 7),
        ("stop_token_ids", "12"), ("stop_token_ids", [1.0]),
        ("logit_bias", [1]), ("logit_bias", {1: 100.5}), ("logit_bias", {1: -1e308}),
        ("logit_bias", {-1: 1.0}), ("logit_bias", {"1": 1.0}), ("logit_bias", {1: NAN}),
        ("logit_bias", {1: INF}), ("logit_bias", {1: -101.0}), ("logit_bias", {1: "-inf"}),
        ("ignore_eos", 1), ("detokenize", None), ("output_kind", 2),
        ("bad_words", [""]), ("bad_words", [" "]), ("bad_words", "x"), ("bad_words", [1]),
        ("allowed_token_ids", []), ("allowed_token_ids", [-1]), ("allowed_token_ids", "1"),
        ("structured_outputs", object()), ("truncate_prompt_tokens", 0),
        ("truncate_prompt_tokens", -2), ("flat_logprobs", 1), ("extra_args", {1: 1}),
        ("extra_args", [1]), ("logprob_token_ids", [-3]), ("logprob_token_ids", [1] * 129),
        ("thinking_token_budget", -2), ("repetition_detection", {"x": 1}),
        ("logits_processors", [1]), ("logits_processors", print),
        ("logits_processors", [lambda logits: logits]), ("samplers", []),
        ("samplers", ["top_q"]), ("samplers", ["top_k"] * 17), ("samplers", 3), ("samplers", [3]),
        ("min_keep", -1), ("repeat_last_n", -2), ("typical_p", 1.1), ("typical_p", NAN),
        ("top_n_sigma", INF), ("dynatemp_range", -1.0), ("dynatemp_exponent", NAN),
        ("mirostat", 3), ("mirostat_tau", -1.0), ("mirostat_eta", INF), ("dry_multiplier", -1.0),
        ("dry_base", 0.5), ("dry_allowed_length", -1), ("dry_penalty_last_n", -2),
        ("dry_sequence_breakers", [""]), ("dry_sequence_breakers", "x"),
        ("dry_sequence_breakers", ["x"] * 65), ("xtc_probability", 1.1), ("xtc_threshold", -0.1),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_by_name(field, value):
    with pytest.raises(RequestError) as raised:
        SamplingParams(**{field: value})
    assert raised.value.field.startswith(field)
    assert str(raised.value).startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0), ("temperature", 1e30), ("temperature", np.float32(0.5)), ("top_k", -1),
        ("top_k", np.int64(40)), ("top_p", 1), ("seed", -1), ("seed", 2**64 - 1),
        ("max_tokens", None), ("logprobs", 0), ("logprobs", 20), ("stop", ()), ("stop", "x"),
        ("stop_token_ids", np.array([1, 2])), ("logit_bias", {}), ("bad_words", []), ("n", 128),
        ("logit_bias", {5: -100}), ("extra_args", {"a": object}), ("prompt_logprobs", None),
        ("logit_bias", {5: -INF}),
        ("logprobs", -1), ("logprobs", 5000), ("prompt_logprobs", -1), ("flat_logprobs", True),
        ("bad_words", ["x"]), ("allowed_token_ids", [1]), ("truncate_prompt_tokens", -1),
        ("truncate_prompt_tokens", 5), ("logprob_token_ids", [3]), ("repeat_last_n", 0),
        ("repetition_detection", RepetitionDetectionParams(4, 1, 3)), ("samplers", ["top-k"]),
        ("logits_processors", [print]), ("samplers", "top_k;temp"), ("top_n_sigma", 1),
    ],
)  # fmt: skip
def test_a_possible_value_is_kept(field, value):
    assert np.array_equal(getattr(SamplingParams(**{field: value}), field), value)


def test_min_tokens_beyond_max_tokens_names_the_limit():
    with pytest.raises(RequestError, match=r"min_tokens: 9: must not exceed max_tokens \(8\)"):
        SamplingParams(min_tokens=9, max_tokens=8)


def test_stop_strings_need_text():
    with pytest.raises(RequestError, match="detokenize"):
        SamplingParams(stop="x", detokenize=False)


@pytest.mark.parametrize(
    "field", ["stop_token_ids", "logit_bias", "allowed_token_ids", "logprob_token_ids"]
)
def test_ids_beyond_the_vocabulary_are_refused_once_it_is_known(field):
    value = {100: 1.0} if field == "logit_bias" else [100]
    params = SamplingParams(**{field: value})
    params.validate(n_vocab=101)
    with pytest.raises(RequestError, match=f"{field}: 100: must be at least 0 and at most 99"):
        params.validate(n_vocab=100)


def test_a_mutated_value_is_found_by_validate():
    params = SamplingParams()
    params.top_p = 3.0
    with pytest.raises(RequestError, match="top_p"):
        params.validate()


def test_every_field_is_either_checked_or_refused():
    """A new field must not slip through unchecked: an object() is wrong for each of them."""
    for field in fields(SamplingParams):
        with pytest.raises(RequestError, match=field.name):
            SamplingParams(**{field.name: object()})


def test_a_default_max_tokens_is_recognised_and_survives_replace():
    params = replace(SamplingParams(), top_k=3)
    assert isinstance(params.max_tokens, DefaultMaxTokens)
    assert not isinstance(SamplingParams(max_tokens=16).max_tokens, DefaultMaxTokens)


@pytest.mark.parametrize(("temperature", "greedy"), [(0, True), (9e-6, True), (1e-5, False)])
def test_tiny_temperatures_are_greedy(temperature, greedy):
    assert SamplingParams(temperature=temperature).is_greedy is greedy


def test_mirostat_leaves_no_room_for_samplers():
    with pytest.raises(RequestError, match="samplers"):
        SamplingParams(mirostat=2, samplers=["top_k"])


@pytest.mark.parametrize(
    "fields",
    [
        {"typical_p": 0.9}, {"top_n_sigma": 1.0}, {"xtc_probability": 0.1}, {"min_keep": 2},
        {"dynatemp_range": 0.5}, {"dry_multiplier": 0.8}, {"mirostat": 1},
        {"samplers": ["temperature"]},
    ],
    ids=str,
)  # fmt: skip
def test_only_llama_cpp_samplers_need_an_order(fields):
    assert SamplingParams(top_k=3, top_p=0.5, min_p=0.1, presence_penalty=1).sampler_order == 0
    assert SamplingParams(**fields).sampler_order != 0


def test_what_cannot_be_speculated_on_is_marked():
    assert SamplingParams(mirostat=1).is_stateful
    assert SamplingParams(logits_processors=[print]).is_stateful
    assert not SamplingParams(xtc_probability=0.5, dry_multiplier=1.0).is_stateful
