"""The engine: a request's tokens are its own affair, whatever else runs and however it is cut."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.engine.engine import Engine
from pyllm.engine.scheduler import Scheduler
from pyllm.errors import ContextLengthError, RequestError
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.fake_program import (
    BOS,
    EOS,
    EOT,
    FakeModel,
    FakeTokenizer,
    hashed_logits,
    printable_logits,
    scripted,
)

FINAL = RequestOutputKind.FINAL_ONLY


def run(engine, requests):
    """Outputs by request, in order."""
    for request in requests:
        engine.add(request)
    outputs = drain(engine)
    return [outputs[request.request_id] for request in requests]


def drain(engine):
    """The last output of every request that the engine still had."""
    outputs = {}
    for _ in range(5000):
        if not engine.has_unfinished():
            break
        for output in engine.step():
            outputs[output.request_id] = output
        engine.scheduler.check()
    assert not engine.has_unfinished()
    return outputs


def complete(params, *, prompt=(BOS, 1, 2), logits_of=hashed_logits, **model):
    engine = Engine(FakeModel(logits_of=logits_of, **model), max_logprobs=-1)
    params.output_kind = FINAL
    return run(engine, [engine.make_request(None, prompt, params)])[0]


def say(text, *, stop_at=None, **params):
    """The output of a model that says `text` (a string, or token ids) and then ends."""
    script = list(text.encode()) if isinstance(text, str) else text
    params = SamplingParams(temperature=0, max_tokens=params.pop("max_tokens", None), **params)
    return complete(params, logits_of=scripted(3, script)).outputs[0]


# ---- ends ------------------------------------------------------------------------------------


def test_end_of_generation_stops_without_a_reason_to_name():
    output = say("hello")
    assert (output.text, output.finish_reason, output.stop_reason) == ("hello", "stop", None)
    assert output.token_ids == [*b"hello", EOS]


def test_every_end_of_generation_token_stops():
    assert say([ord("a"), EOT, ord("b")]).token_ids == [ord("a"), EOT]


def test_ignore_eos_goes_on_to_the_limit():
    output = say("ab", ignore_eos=True, max_tokens=5)
    assert (output.token_ids, output.finish_reason) == ([*b"ab", EOS, EOS, EOS], "length")


def test_max_tokens():
    output = say("hello", max_tokens=3)
    assert (output.text, output.finish_reason) == ("hel", "length")


def test_the_context_is_the_limit_without_max_tokens():
    output = complete(SamplingParams(max_tokens=None, ignore_eos=True), max_model_len=20)
    assert len(output.outputs[0].token_ids) == 17
    assert output.outputs[0].finish_reason == "length"


@pytest.mark.parametrize("ids", [[ord("l")], (ord("l"), 3), np.array([ord("l"), 5])])
def test_a_stop_id_is_named_and_not_written(ids):
    output = say("hello", stop_token_ids=ids)
    assert (output.text, output.finish_reason, output.stop_reason) == ("he", "stop", ord("l"))
    assert output.token_ids == [*b"hel"]


def test_a_stop_id_can_be_written():
    assert say("hello", stop_token_ids=[ord("l")], include_stop_str_in_output=True).text == "hel"


def test_the_end_token_is_written_only_when_asked_twice():
    assert say("hi", skip_special_tokens=False).text == "hi"
    assert say("hi", include_stop_str_in_output=True).text == "hi"
    both = say("hi", skip_special_tokens=False, include_stop_str_in_output=True)
    assert both.text == "hi<257>"


def test_a_stop_id_that_is_eos_works_despite_ignore_eos():
    output = say("hi", stop_token_ids=[EOS], ignore_eos=True)
    assert (output.finish_reason, output.stop_reason) == ("stop", EOS)


@pytest.mark.parametrize(
    "tokens",
    [
        [*b"a", 262, *b"x"],  # "stop" is one token
        [*b"a", 260, 261, *b"x"],  # "st" "op"
        [*b"as", 260, *b"op", *b"x"],  # a false start first: "sst" "o" "p"
        [*b"a", *b"sto", 261],  # "s" "t" "o" "op": never "stop"
    ],
)
def test_stop_strings_across_tokens(tokens):
    text = b"".join(bytes([t]) if t < 256 else {260: b"st", 261: b"op", 262: b"stop"}[t]
                    for t in tokens).decode()  # fmt: skip
    output = say(tokens, stop=["stop"])
    if "stop" in text:
        assert (output.text, output.stop_reason) == (text[: text.index("stop")], "stop")
    else:
        assert (output.text, output.stop_reason) == (text, None)
    assert output.finish_reason == "stop"


def test_a_stop_string_can_be_written():
    output = say("one. two.", stop=". ", include_stop_str_in_output=True)
    assert output.text == "one. "


def test_held_back_text_is_released_at_the_end():
    assert say("a sto", stop="stop").text == "a sto"
    assert say("a sto", stop="stop", max_tokens=4).text == "a st"


def test_half_a_character_at_the_end_is_marked():
    output = say("aé", max_tokens=2)
    assert output.text == "a\N{REPLACEMENT CHARACTER}"


def test_min_tokens_bans_the_end_and_ignores_stop_strings():
    output = complete(
        SamplingParams(temperature=0, min_tokens=6, max_tokens=8, stop="a"),
        logits_of=scripted(3, [*b"aaa"]),  # then wants to end
    ).outputs[0]
    assert len(output.token_ids) >= 6
    assert not {EOS, EOT} & set(output.token_ids[:6])


def test_detokenize_false_gives_ids_only():
    output = say("hello", detokenize=False)
    assert (output.text, output.token_ids) == ("", [*b"hello", EOS])


def test_special_tokens_are_shown_when_asked():
    assert say([*b"a", 259, *b"b"]).text == "ab"
    assert say([*b"a", 259, *b"b"], skip_special_tokens=False).text == "a<259>b"


# ---- numbers ---------------------------------------------------------------------------------


def test_logprobs():
    output = complete(SamplingParams(temperature=0, max_tokens=4, logprobs=2, ignore_eos=True))
    output = output.outputs[0]
    assert len(output.logprobs) == 4
    tokens = [BOS, 1, 2]
    total = 0.0
    for token, entry in zip(output.token_ids, output.logprobs, strict=True):
        logits = hashed_logits(tokens).astype(np.float64)
        expected = logits - np.log(np.exp(logits).sum())
        best = np.argsort(-expected)[:2].tolist()
        assert list(entry) == best
        assert [entry[t].rank for t in best] == [1, 2]
        assert entry[token].logprob == pytest.approx(expected[token], abs=1e-5)
        total += entry[token].logprob
        tokens.append(token)
    assert output.cumulative_logprob == pytest.approx(total)


def test_logprobs_zero_reports_the_chosen_token_only():
    output = complete(SamplingParams(seed=1, max_tokens=3, logprobs=0, ignore_eos=True)).outputs[0]
    assert [list(entry) for entry in output.logprobs] == [[t] for t in output.token_ids]
    assert all(value.rank > 0 for entry in output.logprobs for value in entry.values())


def test_no_logprobs_unless_asked():
    output = complete(SamplingParams(max_tokens=2)).outputs[0]
    assert output.logprobs is None
    assert output.cumulative_logprob is None


def test_logit_bias_chooses():
    output = complete(
        SamplingParams(temperature=0, max_tokens=3, logit_bias={ord("z"): 100})
    ).outputs[0]
    assert output.text == "zzz"


def test_presence_penalty_counts_generated_tokens_only():
    prompt = [BOS, *b"q"]
    logits = np.zeros(272, np.float32)
    logits[ord("q")] = 1.0
    logits[ord("r")] = 0.5
    output = complete(
        SamplingParams(temperature=0, max_tokens=3, presence_penalty=2.0),
        prompt=prompt,
        logits_of=lambda tokens: logits.copy(),
    ).outputs[0]
    assert output.text[:2] == "qr"
    assert output.text[2] not in "qr"


def test_repetition_penalty_sees_the_prompt():
    logits = np.zeros(272, np.float32)
    logits[ord("q")] = 1.0
    logits[ord("r")] = 0.6
    params = SamplingParams(temperature=0, max_tokens=1, repetition_penalty=2.0)
    output = complete(params, prompt=[BOS, *b"q"], logits_of=lambda tokens: logits.copy())
    assert output.outputs[0].text == "r"


def test_nonfinite_logits_end_one_request_alone():
    def logits_of(tokens):
        logits = printable_logits(tokens)
        if tokens[1] == 99 and len(tokens) == 6:
            logits[5] = np.nan
        return logits

    engine = Engine(FakeModel(logits_of=logits_of))
    params = SamplingParams(max_tokens=10, output_kind=FINAL, seed=3)
    prompts = [[BOS, 1, 2], [BOS, 99, 2], [BOS, 3, 2]]
    outputs = run(engine, [engine.make_request(None, p, params) for p in prompts])
    bad = outputs[1].outputs[0]
    assert (bad.finish_reason, bad.stop_reason) == ("error", "nonfinite_logits")
    assert len(bad.text) == 3
    for prompt, output in zip(prompts[::2], outputs[::2], strict=True):
        assert output.outputs[0].finish_reason == "length"
        alone = complete(SamplingParams(max_tokens=10, seed=3), prompt=prompt, logits_of=logits_of)
        assert alone.outputs[0].token_ids == output.outputs[0].token_ids
    assert engine.scheduler.kv_cache.num_free_blocks == 64


# ---- seeds and n -----------------------------------------------------------------------------


def test_unseeded_requests_differ_and_repeat_with_the_engine_seed():
    def texts(seed):
        engine = Engine(FakeModel(logits_of=printable_logits), seed=seed)
        params = SamplingParams(output_kind=FINAL, temperature=20)
        requests = [engine.make_request(None, [BOS], params) for _ in range(3)]
        return [output.outputs[0].text for output in run(engine, requests)]

    assert len(set(texts(0))) == 3
    assert texts(0) == texts(0)
    assert texts(0) != texts(1)


def test_n_begins_with_the_answer_of_one():
    one = complete(SamplingParams(seed=9, max_tokens=6, ignore_eos=True))
    three = complete(SamplingParams(seed=9, max_tokens=6, ignore_eos=True, n=3))
    assert [o.index for o in three.outputs] == [0, 1, 2]
    assert three.outputs[0].token_ids == one.outputs[0].token_ids
    assert len({tuple(o.token_ids) for o in three.outputs}) == 3


# ---- reports ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2])
def test_deltas_add_up_to_the_final_output(n):
    def params(kind):
        return SamplingParams(
            seed=4, max_tokens=20, stop="q", logprobs=1, n=n, output_kind=kind, temperature=20
        )

    outputs = {}
    for kind in RequestOutputKind:
        engine = Engine(FakeModel(logits_of=printable_logits))
        engine.add(engine.make_request(None, [BOS, 1], params(kind)))
        outputs[kind] = []
        while engine.has_unfinished():
            outputs[kind] += engine.step()
    (final,) = outputs[FINAL]
    assert outputs[RequestOutputKind.CUMULATIVE][-1].outputs == final.outputs
    for expected in final.outputs:
        parts = [
            part
            for output in outputs[RequestOutputKind.DELTA]
            for part in output.outputs
            if part.index == expected.index
        ]
        assert "".join(part.text for part in parts) == expected.text
        assert [t for part in parts for t in part.token_ids] == expected.token_ids
        assert [entry for part in parts for entry in part.logprobs] == expected.logprobs
        reasons = [part.finish_reason for part in parts]
        assert reasons == [None] * (len(parts) - 1) + [expected.finish_reason]


def test_metrics_are_in_order():
    metrics = complete(SamplingParams(max_tokens=5, ignore_eos=True)).metrics
    times = [
        metrics.arrival_time,
        metrics.first_scheduled_time,
        metrics.first_token_time,
        metrics.last_token_time,
        metrics.finished_time,
    ]
    assert times == sorted(times)
    assert metrics.first_token_time < metrics.finished_time


# ---- requests --------------------------------------------------------------------------------


def test_a_prompt_that_fills_the_context_is_refused_with_both_counts():
    engine = Engine(FakeModel(max_model_len=20))
    engine.make_request(None, [1] * 19, SamplingParams())
    with pytest.raises(ContextLengthError) as raised:
        engine.make_request(None, [1] * 20, SamplingParams())
    assert (raised.value.prompt_tokens, raised.value.max_model_len) == (20, 20)


def test_an_empty_prompt_is_refused():
    with pytest.raises(RequestError, match=r"prompt: .*no tokens"):
        Engine(FakeModel()).make_request("", [], SamplingParams())


def test_a_request_id_cannot_be_used_twice_at_a_time():
    engine = Engine(FakeModel())
    engine.add(engine.make_request(None, [1], SamplingParams(), "mine"))
    with pytest.raises(RequestError, match="request_id: 'mine': is in use"):
        engine.add(engine.make_request(None, [1], SamplingParams(), "mine"))


def test_later_changes_of_the_callers_params_do_not_reach_the_request():
    engine = Engine(FakeModel())
    bias = {7: 100.0}
    params = SamplingParams(max_tokens=2, temperature=0, output_kind=FINAL, logit_bias=bias)
    request = engine.make_request(None, [1], params)
    params.max_tokens, params.output_kind = 9, RequestOutputKind.DELTA
    bias[8] = bias.pop(7)
    (output,) = run(engine, [request])
    assert output.outputs[0].token_ids == [7, 7]


def test_a_cache_smaller_than_the_context_is_refused():
    with pytest.raises(RequestError, match="max_model_len: 256: the KV cache holds 240 tokens"):
        Engine(FakeModel(num_kv_blocks=15))


def test_abort_frees_everything_and_is_idempotent():
    engine = Engine(FakeModel())
    request = engine.make_request(None, [1] * 40, SamplingParams(n=3, max_tokens=50))
    engine.add(request)
    engine.step()
    engine.abort(request.request_id)
    engine.abort(request.request_id)
    engine.abort("never heard of")
    assert not engine.has_unfinished()
    assert engine.scheduler.kv_cache.num_free_blocks == 64
    assert [c.finish_reason for c in request.continuations] == ["abort"] * 3


def test_an_aborted_request_reports_what_it_had():
    for kind in RequestOutputKind:
        engine = Engine(FakeModel(logits_of=printable_logits))
        params = SamplingParams(max_tokens=50, temperature=0, output_kind=kind)
        engine.add(engine.make_request(None, [BOS, 1], params, "r"))
        reported = [output for _ in range(4) for output in engine.step()]
        last = engine.abort("r")
        assert last.finished
        (part,) = last.outputs
        assert part.finish_reason == "abort"
        assert len(part.token_ids) == (0 if kind is RequestOutputKind.DELTA else 4)
        assert len(reported) == (0 if kind is FINAL else 4)
        assert engine.abort("r") is None


def test_an_abort_before_the_first_step_reports_nothing_but_itself():
    engine = Engine(FakeModel())
    engine.add(engine.make_request(None, [1], SamplingParams(n=2), "r"))
    output = engine.abort("r")
    assert [part.finish_reason for part in output.outputs] == ["abort"] * 2
    assert output.metrics.first_token_time is None


# ---- interrupts ------------------------------------------------------------------------------


def test_an_interrupted_step_changes_nothing_and_the_next_is_short_and_whole():
    expected = complete(SamplingParams(max_tokens=8, seed=1), prompt=[7] * 100)
    engine = Engine(FakeModel())
    params = SamplingParams(max_tokens=8, seed=1, output_kind=FINAL)
    request = engine.make_request(None, [7] * 100, params)
    engine.add(request)
    (sequence,) = (c.sequence for c in request.continuations)
    outputs = []
    computed = []
    while engine.has_unfinished():
        if sequence.num_computed_tokens < 100:
            engine.model.program.interrupt()
            assert engine.step() == []
            engine.step(has_news=lambda: True)  # not asked: this one is run in any case
            computed.append(sequence.num_computed_tokens)
        outputs += engine.step()
    assert computed == [16, 16 + 64 + 16]
    assert outputs[0].outputs == expected.outputs


def test_only_whoever_reads_a_prompt_is_worth_an_interrupt():
    engine = Engine(FakeModel())
    program = engine.model.program
    engine.add(engine.make_request(None, [1], SamplingParams(max_tokens=50), "decodes"))
    engine.step()
    engine.add(engine.make_request(None, [2] * 200, SamplingParams(), "reads"))
    asked = []

    def step(*_, **__):
        for name in ("decodes", "unknown", "reads"):
            engine.interrupt([name])
            asked.append(program.interrupted)
        program.interrupted = False

    program.step = step
    engine.step()
    assert asked == [False, False, True]
    engine.interrupt(["reads"])
    assert not program.interrupted, "between steps there is nothing to end"


def test_news_before_a_prompt_is_read_puts_the_step_off():
    engine = Engine(FakeModel())
    engine.add(engine.make_request(None, [1] * 50, SamplingParams(), "r"))
    assert engine.step(has_news=lambda: True) == []
    assert engine.model.program.num_steps == 0
    engine.abort("r")
    assert engine.scheduler.kv_cache.num_free_blocks == 64


def test_news_does_not_put_off_two_steps_in_a_row():
    engine = Engine(FakeModel())
    engine.add(engine.make_request(None, [1] * 50, SamplingParams(), "r"))
    assert engine.step(has_news=lambda: True) == []
    assert engine.step(has_news=lambda: True) != []
    engine.add(engine.make_request(None, [1] * 20, SamplingParams(), "s"))
    assert engine.step(has_news=lambda: True) == []


def test_automatic_ids_skip_those_in_use_and_seeds_do_not_notice():
    params = SamplingParams(temperature=30, max_tokens=5, ignore_eos=True)
    plain, taken = Engine(FakeModel()), Engine(FakeModel())
    expected = run(plain, [plain.make_request(None, [7], params) for _ in range(3)])
    taken.add(taken.make_request(None, [7], params, "1"))
    requests = [taken.make_request(None, [7], params) for _ in range(2)]
    assert [request.request_id for request in requests] == ["2", "3"]
    outputs = run(taken, requests)
    assert [output.outputs for output in outputs] == [output.outputs for output in expected[1:]]


# ---- failures --------------------------------------------------------------------------------


class BreakingTokenizer(FakeTokenizer):
    def piece(self, token, *, at_start, skip_special):
        if token == ord("!"):
            raise LookupError("no such piece")
        return super().piece(token, at_start=at_start, skip_special=skip_special)


def test_code_that_fails_for_one_request_ends_that_one_alone():
    def logits_of(tokens):
        logits = printable_logits(tokens)
        if tokens[1] == 99 and len(tokens) == 6:
            logits[ord("!")] = 100
        return logits

    model = FakeModel(logits_of=logits_of, tokenizer=BreakingTokenizer())
    engine = Engine(model)
    params = SamplingParams(max_tokens=10, output_kind=FINAL, seed=3, logprobs=1)
    prompts = [[BOS, 1, 2], [BOS, 99, 2], [BOS, 3, 2]]
    outputs = run(engine, [engine.make_request(None, p, params) for p in prompts])
    bad = outputs[1].outputs[0]
    assert (bad.finish_reason, bad.stop_reason) == ("error", "LookupError: no such piece")
    for prompt, output in zip(prompts[::2], outputs[::2], strict=True):
        params = SamplingParams(max_tokens=10, seed=3, logprobs=1)
        alone = complete(params, prompt=prompt, logits_of=logits_of)
        assert alone.outputs == output.outputs
    assert engine.scheduler.kv_cache.num_free_blocks == 64


def failing_run(fails, prompts=8, **model):
    """Outputs of requests in an engine whose program raises what `fails(step number)` returns."""
    engine = Engine(FakeModel(logits_of=printable_logits, **model))
    program, count = engine.model.program, 0
    whole_step = program.step

    def step(*arguments, **options):
        nonlocal count
        count += 1
        if (error := fails(count)) is not None:
            raise error
        whole_step(*arguments, **options)

    program.step = step
    params = SamplingParams(max_tokens=20, seed=2, output_kind=FINAL, logprobs=1)
    requests = [engine.make_request(None, [BOS, n, *[5] * 20], params) for n in range(prompts)]
    return run_unchecked(engine, requests)


def run_unchecked(engine, requests):
    """As `run`, without `check`: a suspect that runs alone holds blocks while it waits."""
    for request in requests:
        engine.add(request)
    outputs = {}
    while engine.has_unfinished():
        outputs |= {output.request_id: output for output in engine.step()}
    assert engine.scheduler.kv_cache.num_free_blocks == engine.model.num_kv_blocks
    return [outputs[request.request_id].outputs for request in requests]


@pytest.mark.parametrize("number", [1, 2, 3, 10, 15])
@pytest.mark.parametrize("num_kv_blocks", [16, 64])
def test_a_step_that_fails_once_costs_nobody_anything(number, num_kv_blocks):
    outputs = failing_run(
        lambda count: MemoryError() if count == number else None, num_kv_blocks=num_kv_blocks
    )
    assert outputs == failing_run(lambda count: None)


def test_whoever_fails_alone_has_failed_and_the_others_go_on():
    def poisoned(tokens):
        if tokens[1] in (2, 5) and len(tokens) == 26:
            raise ValueError(f"poisoned by {tokens[1]}")
        return printable_logits(tokens)

    def outputs_with(logits_of):
        engine = Engine(FakeModel(logits_of=logits_of))
        params = SamplingParams(max_tokens=20, seed=2, output_kind=FINAL)
        prompts = [[BOS, n, *[5] * 20] for n in range(8)]
        return run_unchecked(engine, [engine.make_request(None, p, params) for p in prompts])

    outputs, expected = outputs_with(poisoned), outputs_with(printable_logits)
    for number, (output, healthy) in enumerate(zip(outputs, expected, strict=True)):
        if number in (2, 5):
            assert output[0].finish_reason == "error"
            assert output[0].stop_reason == f"ValueError: poisoned by {number}"
            assert output[0].token_ids == healthy[0].token_ids[:4]
        else:
            assert output == healthy


def test_a_stream_hears_once_of_each_continuation_that_fails_or_ends():
    def poisoned(tokens):
        if len(tokens) == 6 and tokens not in healthy:
            raise ValueError("poisoned")
        return printable_logits(tokens)

    params = SamplingParams(
        n=3, max_tokens=8, temperature=2, seed=2, output_kind=RequestOutputKind.DELTA
    )
    alone = complete(replace(params, output_kind=FINAL), logits_of=printable_logits)
    texts = [[BOS, 1, 2, *output.token_ids[:3]] for output in alone.outputs]
    healthy = [texts[0], texts[2]]
    engine = Engine(FakeModel(logits_of=poisoned))
    engine.add(engine.make_request(None, [BOS, 1, 2], params))
    ends = []
    while engine.has_unfinished():
        for report in engine.step():
            ends += [(o.index, o.finish_reason) for o in report.outputs if o.finished()]
    assert sorted(ends) == [(0, "length"), (1, "error"), (2, "length")]


def test_a_suspect_may_be_aborted():
    engine = Engine(FakeModel())
    whole_step = engine.model.program.step
    for name in "abc":
        engine.add(engine.make_request(None, [1] * 40, SamplingParams(), name))
    engine.model.program.step = lambda *_, **__: 1 / 0
    assert engine.step() == []
    engine.model.program.step = whole_step
    engine.step()
    for name in "abc":
        engine.abort(name)
    assert not engine.has_unfinished()
    assert engine.scheduler.kv_cache.num_free_blocks == 64


def test_a_failure_that_nobody_caused_is_tried_again_once(monkeypatch):
    engine = Engine(FakeModel())
    engine.add(engine.make_request(None, [1], SamplingParams()))
    with monkeypatch.context() as broken:
        broken.setattr(Scheduler, "schedule", lambda self: 1 / 0)
        assert engine.step() == []
        with pytest.raises(ZeroDivisionError):
            engine.step()
    engine.reset()
    engine.add(engine.make_request(None, [1], SamplingParams()))
    assert engine.step()


# ---- the promise -----------------------------------------------------------------------------

requests_of = st.lists(
    st.tuples(
        st.integers(1, 60),  # prompt tokens
        st.integers(1, 40),  # max_tokens
        st.integers(0, 5),  # seed
        st.sampled_from(
            [
                {"temperature": 0},
                {"temperature": 0.9, "top_p": 0.9},
                {"presence_penalty": 0.5, "repetition_penalty": 1.2},
                {"logit_bias": {7: 3.0}, "min_tokens": 1},
            ]
        ),
        st.integers(0, 30),  # step at which it arrives
        st.one_of(st.none(), st.integers(1, 20)),  # steps after which it is aborted
        st.integers(-1, 1),  # priority
    ),
    min_size=1,
    max_size=7,
)


@settings(max_examples=60, deadline=None)
@given(
    requests=requests_of,
    budget=st.sampled_from([4, 7, 64]),
    block_size=st.sampled_from([4, 16]),
    spare_blocks=st.integers(0, 12),
)
def test_tokens_do_not_depend_on_company_chunks_or_preemption(
    requests, budget, block_size, spare_blocks
):
    engine = Engine(
        FakeModel(
            max_model_len=100,
            block_size=block_size,
            num_kv_blocks=-(-100 // block_size) + spare_blocks,
            max_num_seqs=4,
            max_num_batched_tokens=budget,
        )
    )
    todo = [
        (
            arrival,
            index,
            [index + 1] * length,
            SamplingParams(max_tokens=most, seed=seed, output_kind=FINAL, **params),
            abort,
            priority,
        )
        for index, (length, most, seed, params, arrival, abort, priority) in enumerate(requests)
    ]
    outputs, deadlines = {}, {}
    for step in range(5000):
        for arrival, index, prompt, params, abort, priority in todo:
            if arrival == step:
                engine.add(engine.make_request(None, prompt, params, str(index), priority))
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
    for _, index, prompt, params, abort, _ in todo:
        if str(index) not in outputs:
            assert abort is not None
            continue
        alone = complete(params, prompt=prompt, max_model_len=100)
        assert outputs[str(index)].outputs == alone.outputs


# ---- the prefix cache ------------------------------------------------------------------------


def answers(engine, prompts, **params):
    params = SamplingParams(max_tokens=4, seed=1, output_kind=FINAL, ignore_eos=True, **params)
    return run(engine, [engine.make_request(None, prompt, params) for prompt in prompts])


def test_a_second_request_computes_only_what_is_new():
    engine = Engine(FakeModel(block_size=16))
    prefix = [BOS, *range(60)]
    first, second = (answers(engine, [prefix + end])[0] for end in ([1], [2, 3]))
    assert (first.num_cached_tokens, second.num_cached_tokens) == (0, 48)
    program = engine.model.program
    assert program.computed_tokens == (62 + 3) + (63 - 48 + 3)


def test_a_request_with_another_salt_computes_everything():
    engine = Engine(FakeModel(block_size=16))
    params = SamplingParams(max_tokens=1, output_kind=FINAL)
    cached = [
        run(engine, [engine.make_request(None, [BOS] * 40, params, cache_salt=salt)])[0]
        for salt in (None, "a", "a", "b")
    ]
    assert [output.num_cached_tokens for output in cached] == [0, 0, 32, 0]


@pytest.mark.parametrize("salt", ["", 5, b"x"])
def test_a_salt_is_a_text(salt):
    with pytest.raises(RequestError, match="cache_salt"):
        Engine(FakeModel()).make_request(None, [BOS], SamplingParams(), cache_salt=salt)


def test_the_cache_can_be_off():
    engine = Engine(FakeModel(), enable_prefix_caching=False)
    outputs = [answers(engine, [[BOS] * 40])[0] for _ in range(2)]
    assert [output.num_cached_tokens for output in outputs] == [0, 0]
    assert outputs[0].outputs == outputs[1].outputs


def test_requests_that_arrive_together_compute_their_common_prefix_once():
    engine = Engine(FakeModel(max_model_len=256, max_num_batched_tokens=32, block_size=16))
    prompts = [[BOS, *[7] * 159, end] for end in range(8)]
    outputs = answers(engine, prompts)
    assert [output.num_cached_tokens for output in outputs] == [0] + [160] * 7
    assert engine.model.program.computed_tokens == 160 + 8 * (1 + 3)


def test_the_continuations_of_a_request_share_its_prompt():
    engine = Engine(FakeModel(block_size=16))
    (output,) = answers(engine, [[BOS] * 50], n=4, temperature=3)
    assert len({tuple(o.token_ids) for o in output.outputs}) == 4
    assert output.num_cached_tokens == 0
    assert engine.model.program.computed_tokens == 50 + 3 * 2 + 4 * 3


def test_a_waiting_twin_goes_on_when_the_one_it_waits_for_is_aborted():
    engine = Engine(FakeModel(max_num_batched_tokens=32, block_size=16))
    params = SamplingParams(max_tokens=2, output_kind=FINAL, seed=1)
    first, second = (engine.make_request(None, [BOS] * 200, params) for _ in range(2))
    engine.add(first)
    engine.add(second)
    engine.step()
    engine.step()
    engine.abort(first.request_id)
    output = drain(engine)[second.request_id]
    assert output.num_cached_tokens == 64
    assert output.outputs == complete(params, prompt=[BOS] * 200).outputs


def test_a_preempted_request_finds_its_own_blocks():
    model = FakeModel(max_model_len=128, block_size=4, num_kv_blocks=40, max_num_seqs=2)
    engine = Engine(model)
    outputs = answers(engine, [[BOS, *range(70)], [EOT, *range(70)]])
    params = SamplingParams(max_tokens=30, seed=1, output_kind=FINAL, ignore_eos=True)
    requests = [engine.make_request(None, [n, *range(63)], params) for n in (1, 2)]
    before = model.program.computed_tokens
    outputs = run(engine, requests)
    assert sum(output.metrics.num_preemptions for output in outputs) >= 1
    computed = model.program.computed_tokens - before
    assert computed < 2 * (64 + 29) + 40, "computing one again from its start takes 64 or more"


prefixed_requests = st.lists(
    st.tuples(
        st.integers(0, 2),  # which family of prompts
        st.integers(1, 60),  # tokens in common with the family
        st.integers(0, 2),  # own tokens
        st.integers(1, 30),  # max_tokens
        st.sampled_from([None, "a"]),  # salt
        st.sampled_from([{}, {"n": 3}, {"temperature": 0, "n": 2}, {"presence_penalty": 0.5}]),
        st.integers(0, 40),  # step at which it arrives
        st.one_of(st.none(), st.integers(1, 20)),  # steps after which it is aborted
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=100, deadline=None)
@given(
    requests=prefixed_requests,
    budget=st.sampled_from([4, 7, 64]),
    block_size=st.sampled_from([4, 16]),
    spare_blocks=st.integers(0, 20),
)
def test_answers_do_not_depend_on_what_is_cached(requests, budget, block_size, spare_blocks):
    model = FakeModel(
        max_model_len=100,
        block_size=block_size,
        num_kv_blocks=-(-100 // block_size) + spare_blocks,
        max_num_seqs=4,
        max_num_batched_tokens=budget,
    )
    engine = Engine(model)
    todo = {}
    for index, (family, common, own, most, salt, params, arrival, abort) in enumerate(requests):
        tokens = [*[family] * common, *[10 + index] * own]
        params = SamplingParams(
            max_tokens=most, seed=family, logprobs=2, output_kind=FINAL, **params
        )
        todo[str(index)] = tokens, params, salt, arrival, abort
    outputs = {}
    for step in range(5000):
        for name, (tokens, params, salt, arrival, abort) in todo.items():
            if arrival == step:
                engine.add(engine.make_request(None, tokens, params, name, cache_salt=salt))
            if abort is not None and arrival + abort == step:
                engine.abort(name)
        if engine.has_unfinished():
            outputs |= {output.request_id: output for output in engine.step()}
            engine.scheduler.check()
        elif step > 60:
            break
    cache = engine.scheduler.kv_cache
    assert cache.num_free_blocks == model.num_kv_blocks
    assert engine.counters.num_cached_tokens <= engine.counters.num_prompt_tokens
    for name, (tokens, params, _, _, abort) in todo.items():
        if name not in outputs:
            assert abort is not None
            continue
        engine = Engine(FakeModel(max_model_len=100), enable_prefix_caching=False)
        (alone,) = run(engine, [engine.make_request(None, tokens, params)])
        assert outputs[name].outputs == alone.outputs


@pytest.mark.parametrize("kind", list(RequestOutputKind))
@pytest.mark.parametrize("slow", [0, 30], ids=["together", "late"])
def test_no_report_comes_before_the_prompt_is_scored(kind, slow):
    """Continuation 0 scores four tokens a step while the others read the prompt at once."""
    params = SamplingParams(n=3, max_tokens=4, seed=5, prompt_logprobs=1, output_kind=kind)
    engine = Engine(FakeModel(logits_of=printable_logits))
    engine.add(engine.make_request(None, [BOS, *range(slow + 3)], params, "x"))
    texts, ends = ["", "", ""], [0, 0, 0]
    while engine.has_unfinished():
        for output in engine.step():
            assert len(output.prompt_logprobs) == slow + 4
            for part in output.outputs:
                delta = kind is RequestOutputKind.DELTA
                texts[part.index] = texts[part.index] * delta + part.text
                ends[part.index] += part.finish_reason is not None
    if kind is not RequestOutputKind.CUMULATIVE:
        assert ends == [1, 1, 1]
    alone = complete(
        replace(params, output_kind=FINAL), prompt=[BOS, *range(slow + 3)],
        logits_of=printable_logits,
    )  # fmt: skip
    assert texts == [part.text for part in alone.outputs]
    assert all(texts)


def test_who_does_not_score_the_prompt_finds_it_in_the_cache():
    engine = Engine(FakeModel(logits_of=printable_logits))
    prompt = [BOS, *range(40)]
    run(engine, [engine.make_request(None, prompt, SamplingParams(max_tokens=1), "first")])
    before = engine.model.program.computed_tokens
    params = SamplingParams(n=2, max_tokens=1, prompt_logprobs=1)
    run(engine, [engine.make_request(None, prompt, params, "second")])
    computed = engine.model.program.computed_tokens - before
    assert computed == len(prompt) + len(prompt) % engine.model.block_size


def failing_report(request, times):
    """Let the report number `times[0]`, … of a request fail."""
    whole, calls = request._output, iter(range(1, 100))

    def output(*arguments):
        if next(calls) in times:
            raise MemoryError("no room")
        return whole(*arguments)

    request._output = output


@pytest.mark.parametrize("times", [{3}, set(range(3, 100))], ids=["once", "always"])
def test_a_report_that_fails_ends_that_request_alone(times):
    engine = Engine(FakeModel(logits_of=printable_logits))
    delta = SamplingParams(max_tokens=6, seed=2, output_kind=RequestOutputKind.DELTA)
    requests = [
        engine.make_request(None, [BOS, 1], SamplingParams(max_tokens=3, seed=1), "final"),
        engine.make_request(None, [BOS, 2], delta, "stream"),
        engine.make_request(None, [BOS, 3], replace(delta, n=2), "victim"),
    ]
    failing_report(requests[2], times)
    for request in requests:
        engine.add(request)
    heard = {}
    while engine.has_unfinished():
        for output in engine.step():
            heard.setdefault(output.request_id, []).append(output)
        engine.scheduler.check()
    assert len(heard["final"][-1].outputs[0].token_ids) == 3
    assert sum(len(output.outputs[0].token_ids) for output in heard["stream"]) == 6
    end = heard["victim"][-1]
    assert end.finished
    assert [part.finish_reason for part in end.outputs] == ["error", "error"]
    assert end.outputs[0].stop_reason == "MemoryError: no room"
    assert not engine._requests
    assert engine.scheduler.kv_cache.num_free_blocks == engine.model.num_kv_blocks


def test_a_grammar_ends_by_the_end_of_generation_whatever_ignore_eos_says():
    choices = {"choice": ["abd", "xy"]}
    for ignore_eos in (False, True):
        params = SamplingParams(
            structured_outputs=choices, ignore_eos=ignore_eos, max_tokens=20, seed=1
        )
        part = complete(params).outputs[0]
        assert part.text in choices["choice"]
        assert (part.finish_reason, part.stop_reason) == ("stop", None)


def test_an_abort_tells_what_ended_before_the_prompt_was_scored():
    params = SamplingParams(
        n=2, max_tokens=2, seed=5, prompt_logprobs=1, output_kind=RequestOutputKind.DELTA
    )
    engine = Engine(FakeModel(logits_of=printable_logits))
    engine.add(engine.make_request(None, [BOS, *range(40)], params, "x"))
    for _ in range(4):
        assert not engine.step()
    output = engine.abort("x")
    assert output is not None
    assert [(part.finish_reason, len(part.token_ids)) for part in output.outputs] == [
        ("abort", 0),
        ("length", 2),
    ]
