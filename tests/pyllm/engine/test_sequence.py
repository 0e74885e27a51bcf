"""Sequence: the counts everything else is decided by."""

from pyllm.engine.sequence import Sequence
from pyllm.sampling.params import SamplingParams


def make(prompt, output=0, **params):
    sequence = Sequence(
        "r", SamplingParams(**params), 0, prompt, frozenset(), None, None, [1] * prompt
    )
    sequence.tokens += [2] * output
    return sequence


def test_pending_tokens_tell_prefill_from_decode():
    sequence = make(5)
    assert sequence.num_pending_tokens == 5
    sequence.num_computed_tokens = 5
    sequence.tokens.append(7)
    assert sequence.num_pending_tokens == 1
    assert sequence.num_output_tokens == 1


def test_must_not_stop_until_min_tokens_are_there():
    assert make(3, output=1, min_tokens=2).must_not_stop
    assert not make(3, output=2, min_tokens=2).must_not_stop
    assert not make(3).must_not_stop


def test_identity_is_equality():
    one, two = make(3), make(3)
    assert one != two
    assert len({one, two}) == 2
