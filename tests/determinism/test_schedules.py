"""The gate: whatever joins, leaves, fails, is preempted or interrupted around a request, and
however its prompt is cut, it says the same bytes with the same log-probability bits.
"""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.engine.engine import Engine
from pyllm.llm import LLM
from pyllm.loader import Model, load_model
from pyllm.outputs import CompletionOutput, RequestOutput
from pyllm.pooling.pooling import POOLING_TYPES
from pyllm.pooling.request import PooledOutput
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.determinism.random_model import write_random_model
from tests.determinism.schedules import (
    ALL_SAMPLINGS,
    BLOCK_SIZE,
    MAX_MODEL_LEN,
    PROMPT_LENGTHS,
    SAMPLINGS,
    Guest,
    Knowing,
    Schedule,
    Wish,
    blocks_of_one,
    run,
    solo,
)

FINAL = RequestOutputKind.FINAL_ONLY
Alone: TypeAlias = "functools._lru_cache_wrapper[RequestOutput]"


# The window is passed in the middle of a block, and by prompts as well as by answers.
KINDS: dict[str, dict[str, Any]] = {
    "dense": {},
    "experts": {"experts": True},
    "window": {"window": 27, "chunk": 40},
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Model]:
    path = tmp_path_factory.mktemp("model") / "random.gguf"
    options = dict(request.param)
    chunk = options.pop("chunk", 512)
    write_random_model(path, **options)
    model = load_model(
        path, num_threads=1, num_threads_batch=2, max_model_len=MAX_MODEL_LEN, max_num_seqs=8,
        max_num_batched_tokens=chunk, block_size=BLOCK_SIZE,
    )  # fmt: skip
    yield model
    model.close()


@pytest.fixture(scope="module")
def alone(model: Model) -> Alone:
    return functools.cache(functools.partial(solo, model))


def bits(output: RequestOutput | list[CompletionOutput] | None) -> str:
    """All that a caller can see; floats by their shortest exact decimal."""
    if isinstance(output, PooledOutput):
        vector = None if output.pooled is None else output.pooled.tobytes().hex()
        return repr((output.outputs, vector))
    if isinstance(output, RequestOutput):
        return repr((output.outputs, output.prompt_logprobs))
    return repr(output)


def wishes_of(
    samplings: Collection[int], poolings: Sequence[str | None]
) -> st.SearchStrategy[Wish]:
    return st.builds(
        Wish,
        prompt=st.integers(0, len(PROMPT_LENGTHS) - 1),
        sampling=st.sampled_from(sorted(samplings)),
        n=st.sampled_from([1, 1, 1, 2, 3]),
        max_tokens=st.sampled_from([3, 12, 25]),
        pooling=st.sampled_from(poolings),
    )


NO_STEPS = frozenset[int]()


def schedules_of(
    samplings: Collection[int], poolings: Sequence[str | None] = (None,)
) -> st.SearchStrategy[Schedule]:
    guests = st.builds(
        Guest,
        wish=wishes_of(samplings, poolings),
        arrives=st.integers(0, 40),
        leaves_after=st.one_of(st.none(), st.none(), st.integers(0, 30)),
        priority=st.sampled_from([0, 0, 0, -1, 1]),
        kind=st.sampled_from([FINAL, RequestOutputKind.CUMULATIVE]),
    )
    return st.builds(
        Schedule,
        guests=st.lists(guests, min_size=1, max_size=10),
        spare_blocks=st.sampled_from([0, 1, 4, 15, 70]),
        max_num_seqs=st.sampled_from([2, 5, 8]),
        budgets=st.lists(st.sampled_from([1, 7, 64, 512]), min_size=1, max_size=5),
        # A chunk ends after one op, in one slice, or never, because a step reads it meanwhile.
        slices=st.lists(st.sampled_from([None, 0.0, 0.0, 1e-4, 9.0]), min_size=1, max_size=5),
        interrupted=st.frozensets(st.integers(0, 60), max_size=4),
        failing=st.one_of(st.just(NO_STEPS), st.frozensets(st.integers(1, 60), max_size=1)),
    )


def assert_as_alone(schedule: Schedule, outputs: list[RequestOutput | None], alone: Alone) -> None:
    for guest, output in zip(schedule.guests, outputs, strict=True):
        if output is None:
            assert guest.leaves_after is not None
        elif all(part.finish_reason != "abort" for part in output.outputs):
            assert bits(output) == bits(alone(guest.wish)), guest.wish


@settings(max_examples=100, deadline=None, derandomize=True)
@given(schedule=schedules_of(range(len(SAMPLINGS))))
def test_a_request_says_in_any_schedule_what_it_says_alone(
    model: Model, alone: Alone, schedule: Schedule
) -> None:
    assert_as_alone(schedule, run(model, schedule), alone)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(schedule=schedules_of([0], POOLING_TYPES))
def test_an_embedding_has_in_any_schedule_the_bits_it_has_alone(
    model: Model, alone: Alone, schedule: Schedule
) -> None:
    assert_as_alone(schedule, run(model, schedule), alone)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    schedule=schedules_of(range(len(ALL_SAMPLINGS)), (*[None] * 6, *POOLING_TYPES)),
    guesses=st.booleans(),
)
def test_every_feature_beside_every_other_changes_nothing(
    model: Model, alone: Alone, schedule: Schedule, guesses: bool
) -> None:
    """Guesses, penalties, DRY, mirostat, scored prompts, grammars, processors, cached prefixes,
    texts that are embedded.
    """
    answers = [alone(guest.wish) for guest in schedule.guests]
    proposer = Knowing(answers) if guesses else None
    outputs = run(model, schedule, proposer=proposer)
    assert_as_alone(schedule, outputs, alone)


def test_guesses_are_taken_beside_scored_prompts(model: Model, alone: Alone) -> None:
    """The gate above proves little if its guesses are never tried."""
    samplings = [0, 3, len(SAMPLINGS) + 5, len(SAMPLINGS) + 3, len(SAMPLINGS) + 14]
    wishes = [Wish(prompt=5, sampling=sampling, max_tokens=25) for sampling in samplings]
    guests = [Guest(wish, arrives=5 * number) for number, wish in enumerate(wishes)]
    schedule = Schedule(guests)
    proposer = Knowing([alone(wish) for wish in wishes])
    outputs = run(model, schedule, proposer=proposer)
    assert_as_alone(schedule, outputs, alone)
    for output in outputs:
        assert output is not None
        assert output.metrics is not None
        assert output.metrics.num_accepted_tokens > 0


def test_prompts_are_read_in_slices_beside_streams(model: Model, alone: Alone) -> None:
    """The gate above proves little if it has no slices."""
    wishes = [Wish(prompt=prompt, sampling=prompt % 5, max_tokens=25) for prompt in (3, 7, 6, 7)]
    guests = [
        Guest(wish, arrives=3 * number, kind=RequestOutputKind.CUMULATIVE)
        for number, wish in enumerate(wishes)
    ]
    paused = set[int]()  # ops before which a slice ended

    def check(engine: Engine) -> None:
        engine.scheduler.check()
        assert engine._turns.reader is not None
        paused.add(engine._turns.reader._next_op)

    outputs = run(model, Schedule(guests, slices=[*[0.0] * 9, 9.0]), check)
    assert_as_alone(Schedule(guests), outputs, alone)
    assert len(paused) > 3


def test_a_pool_for_three_of_eight_long_requests_finishes_them_all(
    model: Model, alone: Alone
) -> None:
    wishes = [Wish(prompt=5, sampling=number % 5, max_tokens=110) for number in range(8)]
    preempted = 0

    def check(engine: Engine) -> None:
        nonlocal preempted
        engine.scheduler.check()
        preempted = max([preempted, *(s.num_preemptions for s in engine.scheduler.running)])

    # With a window a long request takes little more than one that has just begun.
    spare_blocks = 3 if model.kv_window else 2 * blocks_of_one(model)
    schedule = Schedule([Guest(wish) for wish in wishes], spare_blocks=spare_blocks)
    outputs = run(model, schedule, check)
    assert [bits(output) for output in outputs] == [bits(alone(wish)) for wish in wishes]
    assert preempted, "the pool was too small for all at once"


def test_what_is_alone_says_something(
    alone: Alone,
) -> None:
    """Equal results prove nothing if every request says the same."""
    texts = {bits(alone(Wish(p, s))) for p in range(len(PROMPT_LENGTHS)) for s in range(5)}
    assert len(texts) == 5 * len(PROMPT_LENGTHS)


def test_hundreds_of_cancels_at_any_moment_leave_neighbours_and_pool_alone(model: Model) -> None:
    """Aborts come from other threads, in queue, prompt and answer, in the middle of steps."""
    prompts = [{"prompt_token_ids": Wish(p, 0).prompt_ids()} for p in (3, 5, 6)]
    params = SamplingParams(max_tokens=25, seed=3, logprobs=2, ignore_eos=True)
    llm = LLM.from_model(model)
    expected = [bits(output.outputs) for output in llm.generate(prompts, params)]
    stopping = threading.Event()

    def come_and_go(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(100):
            request = llm.engine.make_request(
                None,
                [seed + 3] * rng.randint(1, 150),
                SamplingParams(max_tokens=9, ignore_eos=True),
            )
            llm.thread.submit([request], Deaf())
            stopping.wait(rng.choice([0, 0, 2e-4, 1e-3, 5e-3]))
            llm.thread.abort([request.request_id])

    threads = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        outputs = llm.generate(prompts, params)
        assert [bits(output.outputs) for output in outputs] == expected
    for thread in threads:
        thread.join()
    outputs = llm.generate(prompts, params)
    assert [bits(output.outputs) for output in outputs] == expected
    assert not llm.engine.has_unfinished()
    assert llm.engine.scheduler.kv_cache.num_free_blocks == model.num_kv_blocks
    llm.thread.close()


class Deaf:
    def put(self, message: object) -> None:
        pass
