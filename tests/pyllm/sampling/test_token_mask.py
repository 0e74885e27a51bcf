"""Masks from token ids, and sequences that carry one through the engine."""

import numpy as np
import pytest

from pyllm.engine.engine import Engine
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from pyllm.sampling.token_mask import AllowedTokens, num_words, words_of
from tests.pyllm.fake_program import BOS, N_VOCAB, FakeModel


@pytest.mark.parametrize("n_vocab", [1, 31, 32, 33, 272])
def test_words_hold_one_bit_per_token(n_vocab):
    ids = {0, n_vocab // 2, n_vocab - 1}
    words = words_of(ids, n_vocab)
    assert (words.dtype, words.shape) == (np.uint32, (num_words(n_vocab),))
    assert {t for t in range(32 * len(words)) if words[t // 32] >> (t % 32) & 1} == ids
    assert not words_of([], n_vocab).any()


def run(masks, **params):
    """Token ids of requests that run together, each with its mask."""
    engine = Engine(FakeModel())
    params = SamplingParams(max_tokens=12, output_kind=RequestOutputKind.FINAL_ONLY, **params)
    requests = []
    for number, mask in enumerate(masks):
        requests.append(engine.make_request(None, [BOS, number], params, str(number)))
        requests[-1].continuations[0].sequence.mask = mask
        engine.add(requests[-1])
    outputs = {}
    while engine.has_unfinished():
        outputs |= {output.request_id: output.outputs[0] for output in engine.step()}
    return [outputs[request.request_id] for request in requests]


def test_only_allowed_tokens_are_sampled_and_neighbours_are_not_touched():
    free = run([None, None, None], seed=3)
    masked = run([None, AllowedTokens([97, 98, 99], N_VOCAB), None], seed=3)
    assert set(masked[1].token_ids) <= {97, 98, 99}
    assert len(masked[1].token_ids) == 12
    assert [masked[0].token_ids, masked[2].token_ids] == [free[0].token_ids, free[2].token_ids]


def test_a_mask_that_allows_nothing_ends_its_request_alone():
    free = run([None, None], temperature=0)
    masked = run([AllowedTokens([], N_VOCAB), None], temperature=0)
    assert (masked[0].finish_reason, masked[0].stop_reason) == ("error", "no_token_allowed")
    assert masked[1].token_ids == free[1].token_ids


def test_a_mask_may_say_nothing_at_some_places():
    class Every2nd:
        def __init__(self):
            self.calls = 0
            self.mask = words_of([97], N_VOCAB)

        def next_mask(self):
            self.calls += 1
            return self.mask if self.calls % 2 else None

    free, masked = run([None], seed=1), run([Every2nd()], seed=1)
    assert set(masked[0].token_ids[::2]) == {97}
    assert set(masked[0].token_ids[1::2]) != {97}
    assert masked[0].token_ids != free[0].token_ids
