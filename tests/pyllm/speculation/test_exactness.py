"""The promise: with guesses, right, wrong or mixed, every token and log-probability is the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.engine.engine import Engine
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.fake_program import BOS, FakeModel, hashed_logits, printable_logits
from tests.pyllm.speculation.guessers import Guesser, at_random, eager_engine, knowing, lookup

FINAL = RequestOutputKind.FINAL_ONLY

PARAMS = [
    {"temperature": 0},
    {"temperature": 0, "logprobs": 3},
    {"temperature": 0.9, "top_p": 0.9, "logprobs": 2},
    {"temperature": 30, "top_k": 3},
    {"presence_penalty": 0.5, "repetition_penalty": 1.2, "frequency_penalty": 0.3, "logprobs": 0},
    {"logit_bias": {7: 3.0, 9: -1.0}, "min_tokens": 1},
    {"min_tokens": 12, "temperature": 0},
    {"stop": ["a", "st"], "include_stop_str_in_output": True},
    {"stop": "c", "min_tokens": 3, "temperature": 20},
    {"stop_token_ids": [100, 101, 102], "ignore_eos": True},
    {"n": 3, "temperature": 2.0},
    {"repetition_penalty": 1.3, "frequency_penalty": 0.4, "repeat_last_n": 5, "logprobs": 1},
    {"presence_penalty": 0.5, "repeat_last_n": -1},
    {"allowed_token_ids": [97, 98, 99, 100, 257], "logprobs": 0},
    {"prompt_logprobs": 2, "logprob_token_ids": [97, 3]},
]


def few_letters(tokens):
    """A narrow choice that depends on the last two tokens: text with repetition and surprises."""
    logits = hashed_logits(tokens[-2:])
    logits[ord("a") : ord("e")] += 4
    return logits


def alone(prompt, params, logits_of, max_model_len=100):
    engine = Engine(FakeModel(logits_of=logits_of, max_model_len=max_model_len))
    engine.add(engine.make_request(None, prompt, params, "x"))
    outputs = []
    while engine.has_unfinished():
        outputs += engine.step()
    return outputs[-1]


def answers_of(todo, expected):
    """Output tokens by prompt and seed, for a proposer that knows them."""
    answers = {}
    for (prompt, params), output in zip(todo, expected, strict=True):
        request = Engine(FakeModel()).make_request(None, prompt, params)
        for continuation, part in zip(request.continuations, output.outputs, strict=True):
            answers[tuple(prompt), continuation.sequence.seed] = part.token_ids
    return answers


requests_of = st.lists(
    st.tuples(
        st.integers(1, 40),  # prompt tokens
        st.integers(1, 40),  # max_tokens
        st.integers(0, 5),  # seed
        st.sampled_from(PARAMS),
        st.integers(0, 30),  # step at which it arrives
        st.one_of(st.none(), st.integers(1, 12)),  # steps after which it is aborted
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(
    requests=requests_of,
    guessing=st.sampled_from(["random", "knowing", "lookup"]),
    logits_of=st.sampled_from([hashed_logits, printable_logits, few_letters]),
    budget=st.sampled_from([4, 7, 64]),
    block_size=st.sampled_from([4, 16]),
    spare_blocks=st.integers(0, 12),
    draft_rows=st.sampled_from([1, 5, 40]),
)
def test_guesses_change_nothing(
    requests, guessing, logits_of, budget, block_size, spare_blocks, draft_rows
):
    todo = [
        (
            [BOS] + [index + 97] * (length // 2) + list(range(length - length // 2)),
            SamplingParams(
                **{"max_tokens": most, **params}
                | {"min_tokens": min(params.get("min_tokens", 0), most)},
                seed=seed,
                output_kind=FINAL,
            ),
        )
        for index, (length, most, seed, params, _, _) in enumerate(requests)
    ]  # fmt: skip
    expected = [alone(prompt, params, logits_of) for prompt, params in todo]
    proposer = {
        "random": lambda: Guesser(at_random),
        "knowing": lambda: Guesser(knowing(answers_of(todo, expected))),
        "lookup": lambda: lookup(prompt_lookup_min=1),
    }[guessing]()
    engine = eager_engine(
        proposer,
        logits_of=logits_of,
        max_model_len=100,
        block_size=block_size,
        num_kv_blocks=-(-100 // block_size) + spare_blocks,
        max_num_seqs=4,
        max_num_batched_tokens=budget,
        draft_rows=draft_rows,
    )
    outputs, deadlines = {}, {}
    for step in range(5000):
        for index, (prompt, params) in enumerate(todo):
            arrival, abort = requests[index][4:]
            if arrival == step:
                engine.add(engine.make_request(None, prompt, params, str(index)))
                if abort is not None:
                    deadlines[str(index)] = step + abort
        for request_id, deadline in deadlines.items():
            if deadline == step:
                engine.abort(request_id)
        if engine.has_unfinished():
            outputs |= {output.request_id: output for output in engine.step()}
            engine.scheduler.check()
        elif step > 60:
            break
    assert engine.scheduler.kv_cache.num_free_blocks == engine.model.num_kv_blocks
    for index, output in enumerate(expected):
        if str(index) in outputs:
            assert outputs[str(index)].outputs == output.outputs
        else:
            assert requests[index][5] is not None


@pytest.mark.parametrize("params", PARAMS, ids=repr)
def test_right_guesses_save_steps(params):
    prompt = [BOS, 1, 2]
    params = SamplingParams(
        **{"max_tokens": 40, "ignore_eos": True, **params}, seed=3, output_kind=FINAL
    )
    expected = alone(prompt, params, few_letters)
    answers = answers_of([(prompt, params)], [expected])
    engine = eager_engine(Guesser(knowing(answers)), logits_of=few_letters)
    engine.add(engine.make_request(None, prompt, params, "x"))
    steps, outputs = 0, []
    while engine.has_unfinished():
        outputs += engine.step()
        steps += 1
    assert outputs[-1].outputs == expected.outputs
    longest = max(len(part.token_ids) for part in expected.outputs)
    assert steps <= 3 + longest // 3
    metrics = outputs[-1].metrics
    assert 0 < metrics.num_accepted_tokens <= metrics.num_draft_tokens or longest < 3
    totals = engine.counters
    assert totals.num_draft_tokens == metrics.num_draft_tokens
    assert totals.num_accepted_tokens == metrics.num_accepted_tokens


@pytest.mark.parametrize("kind", [RequestOutputKind.DELTA, RequestOutputKind.CUMULATIVE])
def test_reports_of_several_tokens_add_up(kind):
    params = SamplingParams(temperature=0, max_tokens=30, logprobs=1, output_kind=kind)
    expected = alone([BOS, *b"ababab"], params, few_letters)
    engine = eager_engine(lookup(prompt_lookup_min=1), logits_of=few_letters)
    engine.add(engine.make_request(None, [BOS, *b"ababab"], params, "x"))
    outputs = []
    while engine.has_unfinished():
        outputs += engine.step()
    assert len(outputs) < 30
    whole = alone([BOS, *b"ababab"], SamplingParams(temperature=0, max_tokens=30, logprobs=1),
                  few_letters).outputs[0]  # fmt: skip
    if kind is RequestOutputKind.CUMULATIVE:
        assert outputs[-1].outputs == expected.outputs == [whole]
    else:
        parts = [part for output in outputs for part in output.outputs]
        assert "".join(part.text for part in parts) == whole.text
        assert [t for part in parts for t in part.token_ids] == whole.token_ids
        assert [entry for part in parts for entry in part.logprobs] == whole.logprobs


def test_nonfinite_logits_behind_a_wrong_guess_harm_nobody():
    """A row that is void may hold anything; one that counts ends the request as it would alone."""

    def logits_of(tokens):
        logits = printable_logits(tokens)
        if 7 in tokens[1:] or len(tokens) > 25:
            logits[3] = np.nan
        return logits

    params = SamplingParams(temperature=0, max_tokens=30, output_kind=FINAL)
    expected = alone([BOS], params, logits_of).outputs[0]
    assert (expected.finish_reason, len(expected.token_ids)) == ("error", 25)
    engine = eager_engine(Guesser(lambda _, count: [7] * count), logits_of=logits_of)
    engine.add(engine.make_request(None, [BOS], params))
    outputs = []
    while engine.has_unfinished():
        outputs += engine.step()
    assert outputs[-1].outputs == [expected]


def test_an_interrupt_that_comes_too_late_drops_the_guesses():
    """Meant for a step that read a prompt, it ends one that checks a draft."""
    prompt, params = [BOS, 1, 2], SamplingParams(max_tokens=40, seed=3, output_kind=FINAL)
    expected = alone(prompt, params, few_letters)
    know = knowing(answers_of([(prompt, params)], [expected]))
    outputs, late, just_interrupted = [], 0, False

    def guess(sequence, count):
        return [] if just_interrupted else know(sequence, count)

    engine = eager_engine(Guesser(guess), logits_of=few_letters)
    request = engine.make_request(None, prompt, params, "x")
    engine.add(request)
    whole_step = engine.model.program.step

    def step(*arguments, **options):
        nonlocal late, just_interrupted
        just_interrupted = bool(request.continuations[0].sequence.draft) and late < 3
        if just_interrupted:
            late += 1
            engine.model.program.interrupt()
        whole_step(*arguments, **options)

    engine.model.program.step = step
    while engine.has_unfinished():
        outputs += engine.step()
    assert late == 3
    assert outputs[-1].metrics.num_preemptions == 0, "a step failed"
    assert outputs[-1].outputs == expected.outputs
