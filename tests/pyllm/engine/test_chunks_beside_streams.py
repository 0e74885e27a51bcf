"""How much of a prompt the steps beside a stream read, on a machine with a clock of its own."""

from types import SimpleNamespace

import pytest

from pyllm.engine.engine import Engine
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.fake_program import FakeModel

STREAM = SamplingParams(max_tokens=80, ignore_eos=True, output_kind=RequestOutputKind.DELTA)


class Clock:
    """A machine on which a step of the engine takes what its tokens cost."""

    def __init__(self, engine, per_token):
        self.now, self.sizes = 0.0, []
        step = engine.model.program.step

        def timed(n_tokens, n_seqs, *arguments, **options):
            step(n_tokens, n_seqs, *arguments, **options)
            self.now += 0.010 + per_token * (n_tokens - 1)
            self.sizes.append(n_tokens - 1)

        engine.model.program.step = timed


@pytest.mark.parametrize(
    ("per_token", "most"), [(0.001, 7), (0.0005, 14), (0.1, 1)], ids=["7 fit", "14 fit", "none"]
)
def test_chunks_beside_a_stream_grow_to_what_fits(monkeypatch, per_token, most):
    """Chunks begin with one token, which must not be taken for one more stream."""
    engine = Engine(FakeModel(max_num_batched_tokens=64), max_decode_slowdown=2.0)
    clock = Clock(engine, per_token)
    fake = SimpleNamespace(perf_counter=lambda: clock.now)
    monkeypatch.setattr("pyllm.engine.engine.time", fake)
    engine.add(engine.make_request(None, [1, 2, 3], STREAM))
    engine.step()
    for _ in range(6):
        engine.step()
    engine.add(engine.make_request(None, [7] * 200, SamplingParams(max_tokens=4)))
    clock.sizes.clear()
    for _ in range(16):
        engine.step()
    assert max(clock.sizes) == most
    assert engine.counters.num_computed_prompt_tokens == 3 + sum(clock.sizes)
