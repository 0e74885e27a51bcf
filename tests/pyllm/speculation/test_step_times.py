"""Step times: measured where measured, on a line between, never out of date for ever."""

import pytest

from pyllm.speculation.step_times import FIRST_SLOPE, LEAST_SLOPE, STALE, TRUSTED, StepTimes


def test_sizes_between_measured_ones_lie_on_a_line():
    times = StepTimes()
    times.record(2, 1.0)
    times.record(6, 3.0)
    assert times.estimate(2) == 1.0
    assert times.estimate(4) == pytest.approx(2.0)
    assert times.estimate(1) == 1.0
    assert times.estimate(8) == pytest.approx(3.0 + 2 * FIRST_SLOPE / (1 + FIRST_SLOPE))


def test_a_measured_slope_is_believed_when_it_is_lower():
    times = StepTimes()
    times.record(1, 1.0)
    times.record(5, 1.04)
    assert times.estimate(9) == pytest.approx(1.08)


def test_more_tokens_never_cost_nothing():
    """A clock disturbed by other programs may say that they make a step shorter."""
    times = StepTimes()
    times.record(1, 1.0)
    times.record(2, 0.5)
    assert times.estimate_more(1, 1) == pytest.approx(1 + LEAST_SLOPE)
    times.record(5, 2.0)
    assert times.estimate_more(1, 4) == 2.0


def test_a_shorter_time_weighs_more_than_a_longer_one():
    """Other programs only ever make a step longer."""
    times = StepTimes()
    times.record(1, 1.0)
    times.record(1, 3.0)
    assert times.estimate(1) < 1.3
    times.record(1, 1.0)
    assert times.estimate(1) < 1.15


def test_trust_takes_several_measurements_and_ends():
    times = StepTimes()
    for _ in range(TRUSTED):
        assert not times.is_trusted(1)
        times.record(1, 1.0)
    assert times.is_trusted(1)
    for _ in range(STALE):
        times.record(5, 1.0)
    assert not times.is_trusted(1)
    times.record(1, 1.0)
    assert times.is_trusted(1)


def test_a_size_that_was_slow_once_gets_another_chance():
    times = StepTimes()
    times.record(1, 1.0)
    times.record(9, 50.0)
    for _ in range(2 * STALE):
        times.record(1, 1.0)
    assert times.estimate(9) == pytest.approx(1.0 + 8 * FIRST_SLOPE)
