"""Thousands who wait cost a step nothing: it looks at the first of them, and at no other."""

import pytest

from pyllm.engine.scheduler import Scheduler
from pyllm.engine.sequence import Sequence
from pyllm.kv.cache import KVCache
from pyllm.sampling.params import SamplingParams

WAITING, RUNNING = 5000, 4


class Watched(list):
    """Counts how often somebody looks at one of its items."""

    looks = 0

    def __getitem__(self, index):
        self.looks += 1
        return super().__getitem__(index)

    def __iter__(self):
        self.looks += len(self)
        return super().__iter__()


def sequence(number):
    return Sequence(
        str(number), SamplingParams(), 0, 8, frozenset(), None, None, tokens=[1] * 8
    )  # fmt: skip


@pytest.fixture
def scheduler():
    scheduler = Scheduler(KVCache(64, 16), max_num_seqs=RUNNING, max_num_batched_tokens=64)
    for number in range(WAITING):
        scheduler.add(sequence(number))
    scheduler.waiting = Watched(scheduler.waiting)
    return scheduler


def run_step(scheduler):
    scheduled = scheduler.schedule()
    for running in scheduled:
        running.num_computed_tokens += running.num_scheduled_tokens
        running.tokens.append(2)
    return scheduled


def test_a_step_looks_at_the_first_who_waits(scheduler):
    assert len(run_step(scheduler)) == RUNNING
    for _ in range(3):
        scheduler.waiting.looks = 0
        assert len(run_step(scheduler)) == RUNNING
        assert scheduler.waiting.looks <= 4


def test_a_place_that_becomes_free_is_given_away_without_a_search(scheduler):
    for number in range(8):
        (oldest, *_) = run_step(scheduler)
        assert oldest.request_id == str(number)
        scheduler.waiting.looks = 0
        scheduler.finish(oldest)
        run_step(scheduler)
        assert scheduler.waiting.looks <= 8


def test_whoever_comes_or_goes_finds_its_place_by_halving(scheduler):
    last = scheduler.waiting[WAITING // 2]
    scheduler.waiting.looks = 0
    scheduler.add(sequence("new"))
    scheduler.finish(last)
    assert scheduler.waiting.looks <= 4 * WAITING.bit_length()
