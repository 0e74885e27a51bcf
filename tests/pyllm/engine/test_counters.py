"""What an engine counted is what its requests report, whatever happened to them."""

import json

import numpy as np
import pytest

from pyllm.engine.engine import Engine
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from pyllm.structured import StructuredOutputsParams
from tests.pyllm.fake_program import FakeModel, hashed_logits, printable_logits
from tests.pyllm.speculation.guessers import Guesser, at_random, eager_engine

GREEDY = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True)


def engine_of(**options):
    options.setdefault("logits_of", printable_logits)
    return Engine(FakeModel(**options))


def add(engine, prompt, params=GREEDY, name=None):
    request = engine.make_request(None, prompt, params, name)
    engine.add(request)
    return request


def finish(engine):
    outputs = []
    while engine.has_unfinished():
        outputs += [output for output in engine.step() if output.finished]
    return outputs


def stats_of(engine):
    return engine.counters.snapshot(engine.scheduler, 0)


def test_a_fresh_engine_has_done_nothing():
    stats = stats_of(engine_of())
    assert (stats.num_running, stats.num_waiting, stats.kv_cache_usage) == (0, 0, 0.0)
    assert (stats.num_steps, stats.num_prompt_tokens, stats.num_generated_tokens) == (0, 0, 0)
    assert (stats.num_kv_blocks, stats.kv_block_size) == (64, 16)
    assert set(stats.num_finished) == {"stop", "length", "error", "abort", "repetition"}
    assert sum(stats.num_finished.values()) + sum(stats.num_cancelled.values()) == 0


def test_tokens_are_those_of_the_reports():
    engine = engine_of()
    for length in (5, 40, 100):
        add(engine, [7] * length, SamplingParams(max_tokens=length, seed=length))
    outputs = finish(engine)
    stats = stats_of(engine)
    assert stats.num_prompt_tokens == 145
    generated = sum(len(output.outputs[0].token_ids) for output in outputs)
    assert stats.num_generated_tokens == generated
    assert [o.metrics.num_output_tokens for o in outputs] == [
        len(o.outputs[0].token_ids) for o in outputs
    ]
    assert stats.step_tokens.count == stats.num_steps == engine.model.program.num_steps
    assert stats.step_tokens.total == engine.model.program.computed_tokens
    assert stats.num_finished["length"] + stats.num_finished["stop"] == 3


def test_every_token_is_a_first_or_a_next_one():
    engine = engine_of()
    for length in (5, 40, 100):
        add(engine, [7] * length)
    finish(engine)
    stats = stats_of(engine)
    assert stats.first_token_seconds.count == 3
    assert stats.next_token_seconds.count == stats.num_generated_tokens - 3
    assert stats.busy_seconds > 0
    assert stats.next_token_seconds.total > 0


def test_what_runs_and_waits_and_holds_blocks():
    engine = engine_of(max_num_seqs=2)
    for _ in range(5):
        add(engine, [7] * 20, SamplingParams(max_tokens=8, n=1))
    engine.step()
    stats = stats_of(engine)
    assert (stats.num_running, stats.num_waiting) == (1, 4)  # the second shares what is underway
    assert stats.kv_cache_usage == pytest.approx(2 / 64)
    assert engine.counters.snapshot(engine.scheduler, 3).num_waiting == 7
    finish(engine)
    stats = stats_of(engine)
    assert (stats.num_running, stats.num_waiting, stats.kv_cache_usage) == (0, 0, 0.0)
    assert 1 < stats.num_scheduled / stats.num_steps < 2


def test_cached_tokens_are_those_of_the_reports():
    engine = engine_of()
    outputs = []
    for _ in range(3):
        add(engine, [7] * 50)
        outputs += finish(engine)
    stats = stats_of(engine)
    assert stats.num_cached_tokens == sum(output.num_cached_tokens for output in outputs) == 96
    assert stats.num_prompt_tokens == 150
    assert stats.num_computed_prompt_tokens == 54


def test_preemptions_are_those_of_the_reports():
    engine = engine_of(num_kv_blocks=16)
    for number in range(4):
        add(engine, [number] * 60, SamplingParams(max_tokens=60, temperature=0, ignore_eos=True))
    outputs = finish(engine)
    preempted = sum(output.metrics.num_preemptions for output in outputs)
    assert stats_of(engine).num_preemptions == preempted > 0


def test_cancelled_requests_by_what_they_did():
    engine = engine_of(max_num_seqs=2, max_num_batched_tokens=32)
    add(engine, [1], name="decode")
    engine.step()
    add(engine, [2] * 100, name="prefill")
    engine.step()
    add(engine, [3], name="queue")
    add(engine, [3], name="queue too")
    for name in ("decode", "prefill", "queue", "queue too", "nobody"):
        engine.abort(name)
    stats = stats_of(engine)
    assert stats.num_cancelled == {"queue": 2, "prefill": 1, "decode": 1}
    assert stats.num_finished["abort"] == 4
    assert not engine.has_unfinished()


def test_an_abort_names_a_request_of_several_answers():
    engine = engine_of()
    request = add(engine, [1], SamplingParams(n=2, max_tokens=4, ignore_eos=True), "x")
    engine.step()
    request.continuations[0].finish_reason = "length"
    engine._retire(request.continuations[0])
    assert engine.abort("x").metrics.num_output_tokens == 2
    assert {k: v for k, v in stats_of(engine).num_finished.items() if v} == {"abort": 1}


def test_corrupted_requests():
    def logits_of(tokens):
        logits = hashed_logits(tokens)
        return logits * np.nan if tokens[0] == 77 else logits

    engine = engine_of(logits_of=logits_of)
    add(engine, [77], SamplingParams(n=3, max_tokens=4))
    add(engine, [5])
    finish(engine)
    stats = stats_of(engine)
    assert stats.num_corrupted == 1
    assert stats.num_finished["error"] == 1
    assert stats.num_generated_tokens == 8


def test_tokens_that_a_grammar_writes_are_generated_too():
    engine = engine_of()
    wish = StructuredOutputsParams(regex="a fixed text that nobody need sample [ab]")
    add(engine, [5], SamplingParams(temperature=0, max_tokens=60, structured_outputs=wish))
    (output,) = finish(engine)
    stats = stats_of(engine)
    assert stats.num_generated_tokens == len(output.outputs[0].token_ids)


def test_guesses_are_those_of_the_reports():
    engine = eager_engine(Guesser(at_random))
    params = SamplingParams(temperature=0, max_tokens=40, ignore_eos=True)
    for number in range(3):
        add(engine, [number] * 5, params)
    outputs = finish(engine)
    stats = stats_of(engine)
    assert stats.num_draft_tokens == sum(o.metrics.num_draft_tokens for o in outputs) > 0
    assert stats.num_accepted_tokens == sum(o.metrics.num_accepted_tokens for o in outputs)
    assert 0 < stats.num_drafts <= stats.num_draft_tokens
    assert stats.num_generated_tokens == 120


def test_totals_survive_a_recovery():
    model = FakeModel(logits_of=printable_logits)
    engine = Engine(model)
    add(engine, [7] * 40)
    finish(engine)
    before = stats_of(engine)
    whole_step, model.program.step = model.program.step, None  # calling it is an error
    add(engine, [7] * 40)
    engine.step()
    model.program.step = whole_step
    finish(engine)
    after = stats_of(engine)
    assert after.num_prompt_tokens >= before.num_prompt_tokens == 40
    assert after.num_generated_tokens == 16
    assert after.num_steps > before.num_steps


def test_reports_do_not_depend_on_being_watched():
    kinds = list(RequestOutputKind)
    found = []
    for kind in kinds:
        engine = engine_of()
        add(engine, [7] * 40, SamplingParams(temperature=0, max_tokens=9, output_kind=kind))
        finish(engine)
        stats = stats_of(engine)
        found.append((stats.num_generated_tokens, stats.next_token_seconds.count))
    assert found == [found[0]] * len(kinds)


def test_stats_are_plain_numbers():
    """They can be shown, compared and sent."""
    stats = stats_of(engine_of())
    assert json.dumps([stats.num_finished, stats.num_cancelled, stats.step_tokens.counts])
