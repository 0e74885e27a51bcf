"""Ten thousand cancels in a mixed load: nothing leaks, nobody is stuck, neighbours say the same."""

import random

import pytest

from pyllm.engine.engine import Engine
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.engine.test_engine import complete
from tests.pyllm.fake_program import FakeModel, hashed_logits

NUM_CANCELS = 10_000


class Load:
    """Requests that come, go and are cancelled at random, beside some that nobody cancels."""

    def __init__(self, seed, **model):
        self.random = random.Random(seed)
        self.engine = Engine(
            FakeModel(
                max_model_len=96, block_size=8, max_num_seqs=6, max_num_batched_tokens=32,
                logits_of=cheap_logits, **model,
            )
        )  # fmt: skip
        self.victims = []  # requests that will be cancelled
        self.neighbours = {}  # request: prompt tokens, seed
        self.outputs = {}
        self.num_cancels = self.num_requests = 0

    def params(self, seed):
        return SamplingParams(
            max_tokens=20, seed=seed, output_kind=RequestOutputKind.FINAL_ONLY, logprobs=1
        )

    def join(self):
        name = f"r{self.num_requests}"
        self.num_requests += 1
        length, seed = self.random.randint(1, 80), self.random.randint(0, 9)
        priority = self.random.choice([0, 0, 0, -1, 1])
        params = self.params(seed)
        if self.num_requests % 50 == 0:
            self.neighbours[name] = [5 + seed] * length, seed
        else:
            params.n = self.random.choice([1, 1, 2, 4])
            self.victims.append(name)
        prompt = [5 + seed] * length
        self.engine.add(self.engine.make_request(None, prompt, params, name, priority))

    def cancel(self):
        # Mostly the newest, as they may still be in the queue or reading their prompt.
        place = min(int(self.random.expovariate(0.3)), len(self.victims) - 1)
        self.engine.abort(self.victims.pop(-1 - place))
        self.num_cancels += 1

    def step(self):
        if self.random.random() < 0.05:
            self.engine.model.program.interrupt()
        for output in self.engine.step():
            self.outputs[output.request_id] = output
        self.engine.scheduler.check()


def cheap_logits(tokens):
    """The last eight tokens decide: a step costs the same however long the text is."""
    return hashed_logits(tokens[-8:])


@pytest.mark.parametrize(
    "model", [{"num_kv_blocks": 30}, {"num_kv_blocks": 11, "kv_window": 20}], ids=["all", "window"]
)
def test_ten_thousand_cancels(model):
    load = Load(seed=7, **model)
    while load.num_cancels < NUM_CANCELS:
        for _ in range(load.random.randint(0, 12)):
            load.join()
        while len(load.victims) > load.random.randint(0, 12):
            load.cancel()
        load.step()
    for _ in range(5000):
        if not load.engine.has_unfinished():
            break
        load.step()
    assert not load.engine.has_unfinished(), "somebody is stuck"
    assert load.engine.scheduler.kv_cache.num_free_blocks == model["num_kv_blocks"]
    assert len(load.neighbours) > 150
    for name, (prompt, seed) in load.neighbours.items():
        alone = complete(
            load.params(seed), prompt=prompt, logits_of=cheap_logits, max_model_len=96,
            kv_window=model.get("kv_window", 0),
        )  # fmt: skip
        assert load.outputs[name].outputs == alone.outputs
