"""The gate for the prefix cache: whatever is cached, shared, evicted, preempted or read from disk,
a request's tokens and log-probabilities are those of a solo run without a cache, bit for bit.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pyllm.demo import demo_model
from pyllm.engine.engine import Engine
from pyllm.loader import Model, load_model
from pyllm.outputs import CompletionOutput
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.determinism.random_model import write_random_model

NUM_REQUESTS = 14
SAMPLING: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 0.9, "top_p": 0.9},
    {"temperature": 0.7, "n": 3},
    {"temperature": 0, "n": 2},  # both write the same, so their blocks fall together
    {"temperature": 1.0, "presence_penalty": 0.5},
]


@dataclass(frozen=True)
class Arrival:
    """A request of the schedule: when it comes, and after how many steps it is given up."""

    prompt: tuple[int, ...]
    sampling: int
    max_tokens: int
    step: int
    patience: int | None

    @property
    def params(self) -> SamplingParams:
        return SamplingParams(
            max_tokens=self.max_tokens,
            seed=sum(self.prompt),
            logprobs=3,
            ignore_eos=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
            **SAMPLING[self.sampling],
        )


def schedule_of(seed: int, tokens: range) -> list[Arrival]:
    rng = random.Random(seed)
    families = [[rng.choice(tokens) for _ in range(150)] for _ in range(3)]
    arrivals = []
    for _ in range(NUM_REQUESTS):
        common = rng.choice(families)[: rng.choice([20, 64, 100, 150])]
        own = [rng.choice(tokens) for _ in range(rng.choice([0, 1, 10]))]
        patience = rng.randrange(1, 10) if rng.random() < 0.2 else None
        arrivals.append(
            Arrival(
                (*common, *own), rng.randrange(len(SAMPLING)), rng.randrange(1, 40),
                rng.randrange(40), patience,
            )
        )  # fmt: skip
    return arrivals


def results(engine: Engine, arrivals: list[Arrival]) -> dict[int, list[CompletionOutput]]:
    """What each request that was not given up answered."""
    outputs = {}
    step = 0
    while engine.has_unfinished() or step <= max(arrival.step for arrival in arrivals):
        for number, arrival in enumerate(arrivals):
            name = str(number)
            if arrival.step == step:
                engine.add(engine.make_request(None, arrival.prompt, arrival.params, name))
            if arrival.patience is not None and arrival.step + arrival.patience == step:
                engine.abort(name)
        if engine.has_unfinished():
            outputs |= {int(output.request_id): output for output in engine.step()}
            engine.scheduler.check()
        step += 1
    assert engine.scheduler.kv_cache.num_free_blocks == engine.model.num_kv_blocks
    return {number: output.outputs for number, output in outputs.items()}


def solo(model: Model, arrival: Arrival) -> list[CompletionOutput]:
    engine = Engine(model, enable_prefix_caching=False)
    return results(engine, [replace(arrival, step=0, patience=None)])[0]


@dataclass(frozen=True)
class Kind:
    path: Path
    tokens: range  # for prompts
    options: dict[str, Any]

    def load(self, **options: Any) -> Model:
        return load_model(
            self.path, num_threads=2, max_model_len=224, max_num_seqs=5,
            max_num_batched_tokens=options.pop("chunk", 48), **self.options, **options,
        )  # fmt: skip


@pytest.fixture(scope="module", params=["demo", "window"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    """A request takes 7 blocks at most."""
    if request.param == "demo":
        return Kind(demo_model(), range(300, 2000), {})
    path = write_random_model(tmp_path_factory.mktemp("model") / "window.gguf", window=40)
    return Kind(path, range(3, 300), {"block_size": 16})


@pytest.fixture(scope="module")
def plain(kind: Kind) -> Iterator[Model]:
    model = kind.load(keep_whole_texts=True)
    yield model
    model.close()


@pytest.mark.parametrize("seed", range(4))
def test_random_schedules_give_the_bits_of_solo_runs(
    seed: int, kind: Kind, plain: Model, tmp_path: Path
) -> None:
    arrivals = schedule_of(seed, kind.tokens)
    expected = {}
    for spare_blocks in (30, 3):  # the second time from disk, and blocks are evicted and taken
        model = kind.load(chunk=(48, 17)[seed % 2], prefix_cache_dir=tmp_path)
        num_kv_blocks = min(7 + spare_blocks, model.num_kv_blocks)
        pressed = replace(model, num_kv_blocks=num_kv_blocks)
        engine = Engine(pressed, prefix_store=model.prefix_store)
        found = results(engine, arrivals)
        model.close()
        assert engine.counters.num_cached_tokens > 0
        for number, outputs in found.items():
            if number not in expected:
                expected[number] = solo(plain, arrivals[number])
            assert outputs == expected[number]
    assert len(expected) >= NUM_REQUESTS // 2
