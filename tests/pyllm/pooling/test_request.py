"""Texts that are read: through the engine, beside others, chunked, preempted, cancelled."""

import numpy as np
import pytest

from pyllm.engine.engine import Engine
from pyllm.errors import ContextLengthError, RequestError
from pyllm.pooling.pooling import POOLING_TYPES, ModelPooling, PoolingParams
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.engine.test_engine import drain, run
from tests.pyllm.fake_program import BOS, FakeModel, hashed_state

GREEDY = SamplingParams(
    temperature=0, max_tokens=9, ignore_eos=True, output_kind=RequestOutputKind.FINAL_ONLY
)
LENGTHS = (1, 2, 15, 16, 17, 63, 64, 65, 130)


def text(length, start=1):
    return [BOS, *((start + 7 * i) % 256 for i in range(length - 1))]


def expected(ids, kind):
    states = np.array([hashed_state(ids[: end + 1]) for end in range(len(ids))])
    whole = {"none": states, "mean": states.astype(np.float64).mean(0)}
    return {"last": states[-1], "cls": states[0], **whole}[kind]


def wanted(engine, ids, kind=None, **options):
    return engine.make_pooling_request(None, ids, PoolingParams(pooling_type=kind), **options)


@pytest.mark.parametrize("kind", POOLING_TYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_text_gives_the_states_of_its_tokens(kind, length):
    engine = Engine(FakeModel())
    (output,) = run(engine, [wanted(engine, text(length), kind)])
    np.testing.assert_allclose(output.pooled, expected(text(length), kind), rtol=1e-12)
    assert output.prompt_token_ids == text(length)
    assert output.outputs[0].token_ids == []
    assert engine.scheduler.kv_cache.num_free_blocks == 64


@pytest.mark.parametrize("budget", [8, 9, 20, 64])
def test_company_and_chunks_change_no_bit(budget):
    """Generations, texts of all kinds and a pool too small for all of them."""
    engine = Engine(FakeModel(max_num_batched_tokens=budget, num_kv_blocks=18))
    texts = [(kind, text(n, n)) for kind in POOLING_TYPES for n in (1, 17, 40, 90)]
    requests = [wanted(engine, ids, kind) for kind, ids in texts]
    answers = [engine.make_request(None, text(n, 3), GREEDY) for n in (5, 30, 100)]
    outputs = run(engine, [*requests[:8], *answers, *requests[8:]])
    pooled = outputs[:8] + outputs[11:]
    for (kind, ids), output in zip(texts, pooled, strict=True):
        lone = Engine(FakeModel())
        (alone,) = run(lone, [wanted(lone, ids, kind)])
        assert output.pooled.tobytes() == alone.pooled.tobytes(), kind
    lone = Engine(FakeModel())
    alone = run(lone, [lone.make_request(None, text(n, 3), GREEDY) for n in (5, 30, 100)])
    assert [o.outputs for o in outputs[8:11]] == [o.outputs for o in alone]


def test_many_texts_share_a_step():
    engine = Engine(FakeModel())
    run(engine, [wanted(engine, text(8, n)) for n in range(8)])
    assert engine.model.program.num_steps == 1


def test_the_first_token_of_a_decoder_is_known_before_the_rest_is_read():
    engine = Engine(FakeModel())
    run(engine, [wanted(engine, text(130), "cls")])
    assert engine.model.program.num_steps == 1


def test_the_last_token_may_start_after_a_cached_prefix_and_others_may_not():
    engine = Engine(FakeModel())
    run(engine, [wanted(engine, text(100))])
    for kind in POOLING_TYPES:
        (output,) = run(engine, [wanted(engine, text(100), kind)])
        assert output.num_cached_tokens == (96 if kind == "last" else 0)
        np.testing.assert_allclose(output.pooled, expected(text(100), kind), rtol=1e-12)


def test_what_a_text_left_in_the_cache_serves_an_answer():
    engine = Engine(FakeModel())
    run(engine, [wanted(engine, text(100), "mean")])
    (output,) = run(engine, [engine.make_request(None, text(100), GREEDY)])
    assert output.num_cached_tokens == 96


def test_salts_keep_texts_apart():
    engine = Engine(FakeModel())
    run(engine, [wanted(engine, text(100), cache_salt="a")])
    (output,) = run(engine, [wanted(engine, text(100), cache_salt="b")])
    assert output.num_cached_tokens == 0


@pytest.mark.parametrize("kind", POOLING_TYPES)
def test_a_cancelled_text_frees_its_blocks_and_has_no_vector(kind):
    engine = Engine(FakeModel(max_num_batched_tokens=8))
    engine.add(wanted(engine, text(130), kind, request_id="gone"))
    if kind != "cls":
        engine.step()
        engine.step()
    output = engine.abort("gone")
    assert (output.outputs[0].finish_reason, output.pooled) == ("abort", None)
    assert not engine.has_unfinished()
    assert engine.scheduler.kv_cache.num_free_blocks == 64


def test_priority_says_who_is_read_first():
    engine = Engine(FakeModel(max_num_batched_tokens=16, max_num_seqs=1))
    for name, priority in (("later", 1), ("now", 0)):
        engine.add(wanted(engine, text(16, priority), request_id=name, priority=priority))
    order = []
    while engine.has_unfinished():
        order += [output.request_id for output in engine.step()]
    assert order == ["now", "later"]


def test_states_that_are_no_numbers_end_that_text_alone():
    def hidden_of(tokens):
        return hashed_state(tokens) * (np.nan if len(tokens) == 20 else 1)

    engine = Engine(FakeModel(hidden_of=hidden_of))
    bad, good = run(engine, [wanted(engine, text(20)), wanted(engine, text(21))])
    assert (bad.outputs[0].finish_reason, bad.pooled) == ("error", None)
    assert bad.outputs[0].stop_reason == "nonfinite_hidden_states"
    assert good.pooled is not None


def test_a_step_that_fails_is_computed_again():
    engine = Engine(FakeModel(max_num_batched_tokens=16))
    step, failures = engine.model.program.step, [3]

    def flaky(*arguments, **options):
        step(*arguments, **options)
        if engine.model.program.num_steps in failures:
            raise MemoryError

    engine.model.program.step = flaky
    requests = [wanted(engine, text(60, n), kind) for n, kind in enumerate(POOLING_TYPES)]
    for request in requests:
        engine.add(request)
    outputs = {}
    while engine.has_unfinished():
        outputs |= {output.request_id: output for output in engine.step()}
    for n, (kind, request) in enumerate(zip(POOLING_TYPES, requests, strict=True)):
        found = outputs[request.request_id].pooled
        np.testing.assert_allclose(found, expected(text(60, n), kind), rtol=1e-12)
    assert engine.scheduler.kv_cache.num_free_blocks == 64


def test_a_text_may_fill_the_context_and_no_more():
    engine = Engine(FakeModel(max_model_len=32))
    (output,) = run(engine, [wanted(engine, text(32))])
    assert output.pooled is not None
    with pytest.raises(ContextLengthError, match="33"):
        wanted(engine, text(33))


def test_nothing_to_read_is_refused():
    engine = Engine(FakeModel())
    with pytest.raises(RequestError, match="prompt: None: is empty"):
        wanted(engine, [])
    with pytest.raises(RequestError, match="prompt: '': is empty"):  # a BOS token alone
        engine.make_pooling_request("", [BOS], PoolingParams())


def test_a_model_that_ranks_gives_no_vectors_unless_told_how():
    engine = Engine(FakeModel(pooling=ModelPooling("rank")))
    with pytest.raises(RequestError, match=r"'rank': gives scores, not vectors: use score\(\)"):
        wanted(engine, text(3))
    (output,) = run(engine, [wanted(engine, text(3), "mean")])
    assert output.pooled is not None


def test_a_program_without_states_or_without_rows_for_all_is_told():
    engine = Engine(FakeModel())
    engine.scheduler.max_num_scored_tokens = 0
    with pytest.raises(RequestError, match="no rows for all tokens"):
        wanted(engine, text(3), "mean")
    del engine.model.program.columns["hidden"]
    with pytest.raises(RequestError, match="gives no hidden states"):
        wanted(engine, text(3))


def test_answers_go_on_while_texts_come_and_go():
    """A step in which nobody decodes, one in which a text is read, one with both."""
    engine = Engine(FakeModel())
    engine.add(engine.make_request(None, text(5), GREEDY, "answer"))
    for n in range(12):
        engine.add(wanted(engine, text(1 + n), "mean", request_id=f"text {n}"))
        engine.step()
    drain(engine)
