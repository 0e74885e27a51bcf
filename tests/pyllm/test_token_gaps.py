"""Gaps of streams that come and go, against a clock for each stream."""

import random
from dataclasses import dataclass

import pytest

from pyllm.histogram import Histogram
from pyllm.token_gaps import FIRST_TOKEN_BOUNDS, NEXT_TOKEN_BOUNDS, TokenGaps


@dataclass(eq=False)
class Stream:
    arrival_time: float = 0.0
    last_token_time: float | None = None


def test_the_first_token_counts_from_the_arrival():
    gaps = TokenGaps()
    gaps.add_step([Stream(arrival_time=1.0), Stream(arrival_time=4.0)], 6.0)
    assert (gaps.first.snapshot().count, gaps.first.snapshot().total) == (2, 7.0)
    assert gaps.following.snapshot().count == 0


def test_a_stream_that_was_held_up_waited_longer():
    gaps = TokenGaps()
    quick, slow = Stream(), Stream()
    for now, streams in [(1, [quick, slow]), (2, [quick]), (3, [quick]), (4, [quick, slow])]:
        gaps.add_step(streams, now)
    assert (gaps.following.snapshot().count, gaps.following.snapshot().total) == (4, 1 + 1 + 1 + 3)


def test_a_step_without_streams_is_no_gap():
    gaps = TokenGaps()
    stream = Stream()
    for now, streams in [(1, [stream]), (2, []), (3, []), (5, [stream])]:
        gaps.add_step(streams, now)
    assert (gaps.following.snapshot().count, gaps.following.snapshot().total) == (1, 4)


@pytest.mark.parametrize("seed", range(20))
def test_it_equals_a_clock_for_each_stream(seed):
    rng = random.Random(seed)
    first, following = Histogram(FIRST_TOKEN_BOUNDS), Histogram(NEXT_TOKEN_BOUNDS)
    gaps, pool, seen, now = TokenGaps(), [], {}, 0.0
    streams = []
    for _ in range(200):
        now += rng.choice([0.02, 0.5, 3.0])
        if rng.random() < 0.3:
            pool.append(Stream(arrival_time=now))
        if rng.random() < 0.4:
            streams = rng.sample(pool, rng.randint(0, len(pool)))
        gaps.add_step(list(streams), now)
        for stream in streams:
            histogram = following if stream in seen else first
            histogram.add(now - seen.get(stream, stream.arrival_time))
            seen[stream] = now
    for found, expected in [(gaps.first, first), (gaps.following, following)]:
        found, expected = found.snapshot(), expected.snapshot()
        assert found.counts == expected.counts
        assert found.total == pytest.approx(expected.total)
