"""Far into a prompt it is read in slices beside streams; nobody says anything else for that."""

import pytest

from pyllm.engine.engine import Engine
from pyllm.engine.prompt_pace import PromptPace
from pyllm.errors import DeviceError
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.fake_program import FakeModel
from tests.pyllm.speculation.guessers import Guesser, at_random, eager_engine

STREAM = SamplingParams(max_tokens=80, ignore_eos=True, seed=1, output_kind=RequestOutputKind.DELTA)
PROMPT = list(range(1, 61))
ANSWER = SamplingParams(max_tokens=4, ignore_eos=True, seed=2)


class Slices(PromptPace):
    """Every prompt beside decodes is slow; with a negative number of seconds a slice is one op."""

    def __init__(self, seconds=-1.0):
        super().__init__(2.0)
        self.seconds, self.limit = seconds, 1

    def chunk_limit(self, num_decodes, depth):
        return self.limit if num_decodes else None

    def is_slow(self, num_decodes):
        return True

    def seconds_beside(self, num_decodes):
        return self.seconds, abs(self.seconds)


def engine_of(seconds=-1.0, **model):
    engine = Engine(FakeModel(slices=True, **model))
    engine._turns.pace = Slices(seconds)
    return engine


def add(engine, name, prompt, params):
    engine.add(engine.make_request(None, prompt, params, name))


def with_stream(engine):
    add(engine, "stream", [1, 2, 3], STREAM)
    engine.step()
    return engine


def finish(engine):
    texts = {}
    for _ in range(2000):
        if not engine.has_unfinished():
            break
        for output in engine.step():
            known = texts.get(output.request_id, [])
            new = output.outputs[0].token_ids
            texts[output.request_id] = known + new if output.request_id == "stream" else new
        engine.scheduler.check()
    assert not engine.has_unfinished()
    return texts


def alone(name, prompt, params):
    engine = Engine(FakeModel())
    add(engine, name, prompt, params)
    return finish(engine)[name]


@pytest.mark.parametrize("seconds", [-1.0, 1e9], ids=["one op", "whole chunks"])
def test_what_is_said_is_the_same(seconds):
    engine = with_stream(engine_of(seconds))
    add(engine, "prompt", PROMPT, ANSWER)
    texts = finish(engine)
    assert texts["prompt"] == alone("prompt", PROMPT, ANSWER)
    assert texts["stream"] == alone("stream", [1, 2, 3], STREAM)[1:]
    read = [count for count, op in engine.model.prompt_program.calls if op == 0]
    # A step lets it in, with its first token, and a step reads its last one, to sample.
    assert sum(read) == len(PROMPT) - 2
    assert max(read) > 4


def test_steps_beside_slices_only_decode():
    engine = with_stream(engine_of())
    add(engine, "prompt", PROMPT, ANSWER)
    engine.step()
    calls = engine.model.prompt_program.calls
    while len(calls) < 12:
        engine.step()
        assert [s.request_id for s in engine._scheduled] == ["stream"]
    assert [op for _, op in calls] == [0, 1, 2, 3] * 3


def test_a_slice_that_comes_too_late_is_put_off_once():
    engine = with_stream(engine_of())
    add(engine, "prompt", PROMPT, ANSWER)
    engine.step()
    counts = []
    for _ in range(6):
        engine.step()
        counts.append(len(engine.model.prompt_program.calls))
    assert counts == [0, 1, 1, 2, 2, 3]


def test_chunks_grow_until_their_longest_op_fills_half_a_slice():
    engine = with_stream(engine_of(seconds=1.0))
    engine.model.prompt_program.longest_op = 0.001
    add(engine, "prompt", [*PROMPT, *PROMPT], ANSWER)
    engine.step()
    engine.step()
    sizes = [count for count, _ in engine.model.prompt_program.calls]
    assert sizes[:4] == [4, 8, 16, 16], "within one slice, as long as there is time"
    engine = with_stream(engine_of(seconds=1.0))
    engine.model.prompt_program.longest_op = 10.0
    add(engine, "prompt", PROMPT, ANSWER)
    engine.step()
    engine.step()
    assert {count for count, _ in engine.model.prompt_program.calls} == {1}


def test_an_aborted_prompt_is_forgotten_in_the_middle_of_a_chunk():
    engine = with_stream(engine_of())
    add(engine, "prompt", PROMPT, ANSWER)
    engine.step()
    engine.step()
    engine.abort("prompt")
    add(engine, "other", PROMPT[::-1], ANSWER)
    assert finish(engine)["other"] == alone("other", PROMPT[::-1], ANSWER)
    assert engine.scheduler.kv_cache.num_free_blocks == engine.model.num_kv_blocks


def test_a_prompt_that_loses_its_blocks_begins_again():
    engine = with_stream(engine_of(num_kv_blocks=16))
    add(engine, "prompt", PROMPT, ANSWER)
    for _ in range(6):
        engine.step()
    engine.scheduler._preempt_last()
    engine.scheduler.check()
    assert finish(engine)["prompt"] == alone("prompt", PROMPT, ANSWER)


def test_when_the_streams_end_the_rest_is_read_whole():
    engine = engine_of()
    add(engine, "stream", [1, 2, 3], STREAM)
    engine.step()
    add(engine, "prompt", PROMPT, ANSWER)
    for _ in range(6):
        engine.step()
    engine.abort("stream")
    assert finish(engine)["prompt"] == alone("prompt", PROMPT, ANSWER)


def test_prompts_whose_logits_are_wanted_are_read_by_steps():
    scored = SamplingParams(max_tokens=2, prompt_logprobs=1, seed=3)
    engine = with_stream(engine_of())
    add(engine, "prompt", PROMPT, scored)
    finish(engine)
    assert not engine.model.prompt_program.calls


def test_a_step_without_decodes_is_never_scheduled_for_a_slice():
    """The stream ranks last and finds no block: the prompt must take the step itself."""
    engine = engine_of(num_kv_blocks=16)
    add(engine, "stream", [1] * 15, STREAM)
    engine.step()
    engine.add(engine.make_request(None, list(range(1, 241)), ANSWER, "prompt", -1))
    assert finish(engine)["prompt"] == alone("prompt", list(range(1, 241)), ANSWER)


def test_a_prompt_that_a_step_can_finish_needs_no_slice():
    engine = with_stream(engine_of())
    engine._turns.pace.limit = 8
    add(engine, "prompt", PROMPT[:15], ANSWER)
    assert finish(engine)["prompt"] == alone("prompt", PROMPT[:15], ANSWER)
    assert not engine.model.prompt_program.calls


def test_a_chunk_is_finished_before_another_begins():
    engine = with_stream(engine_of())
    add(engine, "prompt", PROMPT, ANSWER)
    calls = engine.model.prompt_program.calls
    while calls[-1:] != [(4, 1)]:
        engine.step()
    engine.add(engine.make_request(None, PROMPT[::-1], ANSWER, "urgent", -1))
    texts = finish(engine)
    assert texts["prompt"] == alone("prompt", PROMPT, ANSWER)
    assert texts["urgent"] == alone("urgent", PROMPT[::-1], ANSWER)
    assert calls[:4] == [(4, op) for op in range(4)]


def test_now_and_then_a_step_reads_a_chunk():
    engine = with_stream(engine_of(seconds=1.0))
    engine.model.prompt_program.longest_op = 10.0  # chunks of one token
    add(engine, "prompt", PROMPT, ANSWER)
    finish(engine)
    # 1 by the step that lets it in, 16 in slices and 1 by a step three times, 1 by the last step.
    assert len(engine.model.prompt_program.calls) == len(PROMPT) - 5


def test_a_failed_slice_costs_nobody_anything(caplog):
    engine = with_stream(engine_of())
    program = engine.model.prompt_program
    program.error = MemoryError("no room")
    add(engine, "prompt", PROMPT, ANSWER)
    assert finish(engine)["prompt"] == alone("prompt", PROMPT, ANSWER)
    assert len(program.calls) == 1, "it is not tried again"
    assert "steps read all prompts" in caplog.text


def test_what_others_wrote_beside_a_slice_that_fails_is_heard():
    engine = with_stream(engine_of())
    engine.model.prompt_program.error = MemoryError("no room")
    add(engine, "short", [9, 9], SamplingParams(max_tokens=3, ignore_eos=True, seed=4))
    add(engine, "prompt", PROMPT, ANSWER)
    texts = finish(engine)
    assert len(texts["short"]) == 3
    assert texts["stream"] == alone("stream", [1, 2, 3], STREAM)[1:]


def test_what_the_machine_refuses_is_told():
    engine = with_stream(engine_of())
    engine.model.prompt_program.error = DeviceError("the model file cannot be read")
    add(engine, "prompt", PROMPT, ANSWER)
    with pytest.raises(DeviceError):
        finish(engine)
    engine.model.prompt_program.error = None
    calls = engine.model.prompt_program.calls
    assert finish(engine)["prompt"] == alone("prompt", PROMPT, ANSWER)
    assert [op for _, op in calls[:2]] == [0, 0], "where it stopped nobody knows: it began again"


def test_nobody_guesses_beside_a_slice():
    engine = eager_engine(Guesser(at_random), slices=True)
    engine._turns.pace = Slices()
    with_stream(engine)
    add(engine, "prompt", PROMPT, ANSWER)
    calls = engine.model.prompt_program.calls
    while len(calls) < 12:
        before = engine.counters.num_drafts
        engine.step()
        assert engine.counters.num_drafts == before
    finish(engine)
    assert engine.counters.num_drafts > 0
