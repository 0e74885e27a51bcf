"""What the engine does for requests that want more of sampling than a draw."""

import asyncio
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.engine.engine import Engine
from pyllm.errors import ContextLengthError, RequestError
from pyllm.sampling.logprobs import FlatLogprobs
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from pyllm.sampling.repetition import RepetitionDetectionParams
from tests.pyllm.engine.test_engine import complete, run, say
from tests.pyllm.fake_program import BOS, N_VOCAB, FakeModel, hashed_logits

FINAL = RequestOutputKind.FINAL_ONLY


def logprobs_after(tokens):
    logits = hashed_logits(list(tokens)).astype(np.float64)
    return logits - np.log(np.exp(logits).sum())


# ---- log-probabilities -----------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [0, 3, 25, -1])
@pytest.mark.parametrize("length", [1, 2, 5, 40])
def test_prompt_logprobs(wanted, length):
    prompt = [BOS, *range(1, length)]
    output = complete(SamplingParams(max_tokens=1, prompt_logprobs=wanted), prompt=prompt)
    assert len(output.prompt_logprobs) == length
    assert output.prompt_logprobs[0] is None
    for position in range(1, length):
        expected = logprobs_after(prompt[:position])
        entry = output.prompt_logprobs[position]
        best = np.argsort(-expected, kind="stable")[: wanted if wanted >= 0 else None].tolist()
        assert list(entry) == list(dict.fromkeys([*best, prompt[position]]))
        for rank, token in enumerate(best, 1):
            assert entry[token].rank == rank
            assert entry[token].logprob == pytest.approx(expected[token], abs=1e-5)
        assert entry[prompt[position]].rank == 1 + (expected > expected[prompt[position]]).sum()


def test_no_prompt_logprobs_unless_asked():
    assert complete(SamplingParams(max_tokens=1)).prompt_logprobs is None


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_scored_prompts_and_their_neighbours_are_as_if_alone(data):
    """With rows for four prompt tokens in a step, whatever else runs and is preempted."""
    requests = data.draw(
        st.lists(
            st.tuples(
                st.integers(1, 50), st.sampled_from([None, 0, 2, 30]), st.integers(1, 12),
                st.integers(1, 2),
            ),
            min_size=1, max_size=6,
        )
    )  # fmt: skip
    blocks = data.draw(st.integers(8, 20))

    def make(engine, i, length, wanted, max_tokens, n):
        params = SamplingParams(
            n=n, seed=i, max_tokens=max_tokens, prompt_logprobs=wanted, logprobs=wanted,
            output_kind=FINAL, ignore_eos=True, presence_penalty=0.5 * (i % 2),
        )  # fmt: skip
        return engine.make_request(None, [BOS, *([i + 1] * length)], params)

    sizes = {"max_model_len": 64, "block_size": 8, "max_num_batched_tokens": 16}
    together = Engine(FakeModel(num_kv_blocks=blocks, **sizes), max_logprobs=30)
    outputs = run(together, [make(together, i, *r) for i, r in enumerate(requests)])
    for i, (request, output) in enumerate(zip(requests, outputs, strict=True)):
        alone = Engine(FakeModel(**sizes), max_logprobs=30)
        (expected,) = run(alone, [make(alone, i, *request)])
        assert output.outputs == expected.outputs
        assert output.prompt_logprobs == expected.prompt_logprobs
        if request[1] is not None:
            assert len(output.prompt_logprobs) == request[0] + 1


@pytest.mark.parametrize("wanted", [25, -1])
def test_more_logprobs_than_the_columns_hold(wanted):
    output = complete(SamplingParams(temperature=0, max_tokens=3, logprobs=wanted, ignore_eos=True))
    tokens = [BOS, 1, 2]
    for token, entry in zip(output.outputs[0].token_ids, output.outputs[0].logprobs, strict=True):
        expected = logprobs_after(tokens)
        best = np.argsort(-expected, kind="stable")[: wanted if wanted > 0 else None]
        assert list(entry) == best.tolist()
        assert entry[best[20]].logprob == pytest.approx(expected[best[20]], abs=1e-5)
        tokens.append(token)


def test_logprobs_of_chosen_tokens():
    params = SamplingParams(temperature=0, max_tokens=2, logprob_token_ids=[5, 9], ignore_eos=True)
    output = complete(params).outputs[0]
    first = output.token_ids[0]
    assert list(output.logprobs[0]) == [5, 9, first]
    assert output.logprobs[0][9].logprob == pytest.approx(logprobs_after([BOS, 1, 2])[9], abs=1e-5)
    assert output.logprobs[0][first].rank == 1


def test_flat_logprobs_read_like_lists():
    options = {"temperature": 0, "max_tokens": 5, "logprobs": 2, "prompt_logprobs": 1}
    plain = complete(SamplingParams(**options, ignore_eos=True))
    flat = complete(SamplingParams(**options, ignore_eos=True, flat_logprobs=True))
    assert isinstance(flat.outputs[0].logprobs, FlatLogprobs)
    assert list(flat.outputs[0].logprobs) == plain.outputs[0].logprobs
    assert list(flat.outputs[0].logprobs[1:3]) == plain.outputs[0].logprobs[1:3]
    assert list(flat.prompt_logprobs)[1:] == plain.prompt_logprobs[1:]
    assert len(flat.prompt_logprobs) == 3
    assert flat.prompt_logprobs[0] == {}


def test_a_prompt_that_cannot_be_scored_ends_its_request_only():
    def logits_of(tokens):
        logits = hashed_logits(tokens)
        if tokens[-1] == 77:
            logits[3] = np.nan
        return logits

    engine = Engine(FakeModel(logits_of=logits_of))
    params = SamplingParams(max_tokens=2, prompt_logprobs=0, output_kind=FINAL)
    prompts = [[BOS, 1, 77, 2], [BOS, 1, 2, 3]]
    outputs = run(engine, [engine.make_request(None, p, params) for p in prompts])
    assert [o.outputs[0].finish_reason for o in outputs] == ["error", "length"]
    assert outputs[0].outputs[0].stop_reason == "nonfinite_logits"


# ---- what may be chosen ----------------------------------------------------------------------


def test_allowed_token_ids():
    output = complete(SamplingParams(max_tokens=20, allowed_token_ids=[5, 9], seed=1))
    assert set(output.outputs[0].token_ids) == {5, 9}


def test_nothing_allowed_ends_the_request():
    params = SamplingParams(allowed_token_ids=[ord("x")], bad_words=["x"])
    output = complete(params).outputs[0]
    assert (output.finish_reason, output.stop_reason) == ("error", "no_token_allowed")


def test_a_bias_of_minus_infinity_forbids():
    allowed, seed = list(b"xy"), 1
    params = SamplingParams(max_tokens=20, allowed_token_ids=allowed, seed=seed)
    assert set(complete(params).outputs[0].text) == {"x", "y"}
    bias = {ord("x"): -math.inf}
    params = replace(params, logit_bias=bias)
    assert complete(params).outputs[0].text == "y" * 20
    output = complete(replace(params, allowed_token_ids=list(b"x"))).outputs[0]
    assert (output.finish_reason, output.stop_reason) == ("error", "no_token_allowed")


def test_bad_words_are_never_completed():
    allowed = list(b"ab")
    params = SamplingParams(max_tokens=200, allowed_token_ids=allowed, bad_words=["aba"], seed=3)
    text = complete(params).outputs[0].text
    assert "ab" in text
    assert "aba" not in text
    assert "aba" in complete(SamplingParams(max_tokens=200, allowed_token_ids=allowed, seed=3)
                             ).outputs[0].text  # fmt: skip


def test_the_prompt_does_not_begin_a_bad_word():
    output = say("bc", bad_words=["abc"], max_tokens=2)
    assert output.text == "bc"


@pytest.mark.parametrize(("last_n", "expected"), [(None, "aa"), (-1, "bb"), (2, "aa"), (3, "bb")])
def test_the_penalty_window_counts_prompt_and_output(last_n, expected):
    """ "a" is a little more likely than "b", and stands three tokens back."""
    logits = np.zeros(N_VOCAB, np.float32)
    logits[ord("a")], logits[ord("b")] = 5, 4.9
    output = complete(
        SamplingParams(
            temperature=0, max_tokens=2, presence_penalty=0.2, repeat_last_n=last_n,
            logit_bias={ord("b"): 0.15 if last_n and last_n != 2 else 0.0},
        ),
        prompt=[BOS, ord("a"), 1, 2], logits_of=lambda _: logits,
    )  # fmt: skip
    assert output.outputs[0].text[0] == expected[0]


def test_dry_breaks_a_loop():
    """A model that says "abab…" for ever has to stop it."""

    def logits_of(tokens):
        logits = np.zeros(N_VOCAB, np.float32)
        logits[ord("b") if tokens[-1] == ord("a") else ord("a")] = 8
        return logits

    plain = complete(SamplingParams(temperature=0, max_tokens=12), logits_of=logits_of)
    assert plain.outputs[0].text == "abababababab"
    dry = SamplingParams(temperature=0, max_tokens=12, dry_multiplier=2.0, dry_penalty_last_n=-1)
    assert "ababababa" not in complete(dry, logits_of=logits_of).outputs[0].text


def test_the_state_of_mirostat_lives_in_the_sequence():
    """The toy program takes (token % 3) / 8 from mu at each token; batch mates change nothing."""
    engine = Engine(FakeModel())
    requests = [
        engine.make_request(
            None, [BOS, i], SamplingParams(mirostat=2, mirostat_tau=3.0, seed=i, max_tokens=9,
                                           ignore_eos=True, output_kind=FINAL)
        )
        for i in range(3)
    ]  # fmt: skip
    requests.append(engine.make_request(None, [BOS, 9], SamplingParams(output_kind=FINAL)))
    run(engine, requests)
    for request in requests[:3]:
        sequence = request.continuations[0].sequence
        output = sequence.tokens[2:]
        assert sequence.mirostat_mu == pytest.approx(6.0 - sum(t % 3 for t in output) / 8)


# ---- ends ------------------------------------------------------------------------------------


def test_repetition_ends_a_text():
    output = say("xyabcabcabcabc", repetition_detection=RepetitionDetectionParams(3, 0, 3))
    assert output.text == "xyabcabcabc"
    assert (output.finish_reason, output.stop_reason) == ("repetition", "repetition_detected")


@pytest.mark.parametrize(("size", "kept"), [(3, 3), (100, 10), (-1, 10)])
def test_truncated_prompts_keep_their_end(size, kept):
    prompt = list(range(10, 20))
    params = SamplingParams(max_tokens=4, truncate_prompt_tokens=size)
    assert complete(params, prompt=prompt).prompt_token_ids == prompt[-kept:]


def test_a_long_prompt_is_truncated_to_what_leaves_room():
    prompt = [1] * 500
    with pytest.raises(ContextLengthError):
        complete(SamplingParams(max_tokens=30), prompt=prompt)
    params = SamplingParams(max_tokens=30, truncate_prompt_tokens=-1, ignore_eos=True)
    output = complete(params, prompt=prompt)
    assert len(output.prompt_token_ids) == 256 - 30
    assert len(output.outputs[0].token_ids) == 30


# ---- logits processors -----------------------------------------------------------------------


def test_processors_see_the_sequence_and_choose():
    seen = []

    def only_z(prompt, output, logits):
        seen.append((list(prompt), list(output), logits.shape, logits.dtype.name))
        logits[:] = 0
        logits[ord("z")] = 5

    def then_y(prompt, output, logits):
        assert logits[ord("z")] == 5
        return np.where(np.arange(N_VOCAB) == ord("y"), 9.0, logits)

    params = SamplingParams(temperature=0, max_tokens=2, logits_processors=[only_z, then_y])
    output = complete(params).outputs[0]
    assert output.text == "yy"
    assert seen == [
        ([BOS, 1, 2], [], (N_VOCAB,), "float32"),
        ([BOS, 1, 2], [ord("y")], (N_VOCAB,), "float32"),
    ]


def test_processors_of_two_arguments_get_the_output():
    seen = []

    def only_z(output, logits):
        seen.append(list(output))
        return np.where(np.arange(N_VOCAB) == ord("z"), 9.0, logits)

    params = SamplingParams(temperature=0, max_tokens=2, logits_processors=[only_z])
    assert complete(params).outputs[0].text == "zz"
    assert seen == [[], [ord("z")]]


def test_logprobs_are_of_the_logits_before_processors():
    def swap(prompt, output, logits):
        return -logits

    params = SamplingParams(temperature=0, max_tokens=1, logprobs=1, logits_processors=[swap])
    output = complete(params).outputs[0]
    expected = logprobs_after([BOS, 1, 2])
    assert output.token_ids == [int(expected.argmin())]
    entry = output.logprobs[0]
    assert entry[output.token_ids[0]].logprob == pytest.approx(expected.min(), abs=1e-5)
    assert next(iter(entry)) == expected.argmax()


def raising(prompt, output, logits):
    if len(output) == 2:
        raise KeyError("a mistake\nof the caller's")


def cancelled(*_):
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("processor", "reason"),
    [
        (raising, "KeyError"),
        (lambda *_: np.zeros(3), "shape (3,), allowed: (272,)"),
        (lambda *_: np.full(N_VOCAB, np.nan), "NaN"),
        (lambda *_: "text", "could not convert"),
        (lambda *_: sys.exit("enough"), "SystemExit: enough"),
        (cancelled, "CancelledError"),
    ],
    ids=["raises", "shape", "nan", "type", "exits", "cancels"],
)
def test_a_failing_processor_ends_its_request_alone(processor, reason):
    engine = Engine(FakeModel())
    plain = SamplingParams(max_tokens=6, seed=4, output_kind=FINAL, ignore_eos=True)
    bad = SamplingParams(
        max_tokens=6, seed=4, output_kind=FINAL, ignore_eos=True, logits_processors=[processor]
    )
    outputs = run(engine, [engine.make_request(None, [BOS, 1], p) for p in (plain, bad, plain)])
    answer = outputs[1].outputs[0]
    assert answer.finish_reason == "error"
    assert answer.stop_reason.startswith("logits processor failed: ")
    assert reason in answer.stop_reason
    assert "\n" not in answer.stop_reason
    alone = Engine(FakeModel())
    (expected,) = run(alone, [alone.make_request(None, [BOS, 1], plain)])
    assert outputs[0].outputs == outputs[2].outputs == expected.outputs


def test_processors_of_the_engine_come_first():
    order = []
    engine = Engine(FakeModel(), logits_processors=[lambda *_: order.append("engine")])
    params = SamplingParams(max_tokens=1, logits_processors=[lambda *_: order.append("request")])
    run(engine, [engine.make_request(None, [BOS], params)])
    assert order == ["engine", "request"]


def test_scoring_needs_rows_for_it():
    model = FakeModel()
    for name, column in model.program.columns.items():
        if len(column) == model.max_num_seqs + 4:
            model.program.columns[name] = column[: model.max_num_seqs]
    engine = Engine(model)
    with pytest.raises(RequestError, match="prompt_logprobs"):
        engine.make_request(None, [BOS, 1], SamplingParams(prompt_logprobs=1))


@pytest.mark.parametrize("field", ["logprobs", "prompt_logprobs"])
@pytest.mark.parametrize(
    ("most", "allowed", "refused"),
    [(20, (0, 20), (-1, 21, 2**31 - 1)), (N_VOCAB - 1, (271,), (-1, 272)), (N_VOCAB, (-1,), (273,)),
     (0, (0,), (1,)), (-1, (-1, 5000), ())],
)  # fmt: skip
def test_the_owner_of_an_engine_says_how_many_logprobs_there_are(field, most, allowed, refused):
    engine = Engine(FakeModel(), max_logprobs=most)
    for value in allowed:
        engine.make_request(None, [BOS], SamplingParams(**{field: value}))
    for value in refused:
        with pytest.raises(RequestError) as caught:
            engine.make_request(None, [BOS], SamplingParams(**{field: value}))
        limit = f"at most {most}; the engine's option max_logprobs allows more"
        assert str(caught.value) == f"{field}: {value}: {limit}"


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, np.array])
def test_ids_may_be_any_collection(kind):
    ids = kind([100, 101])
    params = SamplingParams(
        max_tokens=9, min_tokens=2, stop_token_ids=ids, logprob_token_ids=ids, allowed_token_ids=ids
    )
    output = complete(params).outputs[0]
    assert len(output.token_ids) == 3
    assert output.stop_reason in (100, 101)
    assert {100, 101} == set(output.logprobs[0])


@pytest.mark.parametrize("field", ["stop_token_ids", "allowed_token_ids", "logprob_token_ids"])
def test_what_can_be_read_once_is_no_list_of_ids(field):
    for value in (iter([5]), map(int, [5]), np.array(5), np.array([[5]])):
        with pytest.raises(RequestError, match=f"{field}: .*must be a list of token ids"):
            SamplingParams(**{field: value})


@pytest.mark.parametrize("seed", [5, -7, 2**64 - 1])
def test_numpy_seeds_are_seeds(seed):
    def texts(seed, engine_seed):
        engine = Engine(FakeModel(), seed=engine_seed)
        params = SamplingParams(n=2, seed=seed, max_tokens=8, output_kind=FINAL)
        (output,) = run(engine, [engine.make_request(None, [BOS], params)])
        return [part.token_ids for part in output.outputs]

    as_array = np.array(seed)[()]
    assert isinstance(as_array, np.integer)
    assert texts(as_array, 0) == texts(seed, 0)
    assert texts(None, as_array) == texts(None, seed)
