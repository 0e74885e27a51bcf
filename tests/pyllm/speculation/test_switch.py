"""A proposer that fails is done without, for good; nobody's answer changes."""

import pytest

from pyllm.engine.engine import Engine
from pyllm.errors import PyLLMError
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from pyllm.speculation.switch import MAX_FAILURES, SpeculationSwitch
from tests.pyllm.fake_program import FakeModel, printable_logits
from tests.pyllm.speculation.guessers import Guesser, at_random, make_eager

PARAMS = SamplingParams(
    temperature=0, max_tokens=20, ignore_eos=True, output_kind=RequestOutputKind.FINAL_ONLY
)


def answer(engine):
    engine.add(engine.make_request(None, [1, 2, 3], PARAMS))
    outputs = []
    while engine.has_unfinished():
        outputs += engine.step()
        engine.scheduler.check()
    return outputs[-1].outputs


def engine_with(proposer):
    model = FakeModel(logits_of=printable_logits, draft_rows=8)
    return make_eager(Engine(model, proposer=proposer))


@pytest.mark.parametrize("error", [ValueError, PyLLMError])
def test_a_proposer_that_raises_is_dropped_at_once(error, caplog):
    def guess(sequence, count):
        calls.append(sequence)
        raise error("the draft model is broken")

    calls = []
    engine = engine_with(Guesser(guess))
    assert answer(engine) == answer(Engine(FakeModel(logits_of=printable_logits)))
    assert len(calls) == 1
    assert engine.speculator is None
    assert "speculation is switched off" in caplog.text


def test_a_proposer_that_cannot_begin_is_dropped():
    class Broken(Guesser):
        def reset(self):
            raise ValueError("no memory")

    engine = Engine(FakeModel(logits_of=printable_logits), proposer=Broken(at_random))
    assert engine.speculator is None
    assert len(answer(engine)[0].token_ids) == 20


@pytest.mark.parametrize("alone", [True, False])
def test_failures_that_no_request_explains_add_up(alone):
    switch = SpeculationSwitch(Guesser(at_random))
    for number in range(1 if alone else MAX_FAILURES):
        assert switch.start(None, max_rows=4) is not None, number
        switch.suspect(ValueError(), alone=alone)
    assert switch.start(None, max_rows=4) is None


def test_failures_that_a_request_explains_do_not():
    switch = SpeculationSwitch(Guesser(at_random))
    for _ in range(2 * MAX_FAILURES):
        switch.suspect(ValueError(), alone=False)
        switch.clear()
    assert switch.start(None, max_rows=4) is not None
