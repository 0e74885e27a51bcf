"""Buckets as Prometheus means them: an upper bound belongs to its bucket."""

import pytest

from pyllm.histogram import Distribution, Histogram


@pytest.mark.parametrize(
    ("value", "place"), [(0, 0), (1, 0), (1.5, 1), (10, 1), (10.01, 2), (1e9, 2)]
)
def test_a_value_is_at_most_its_bound(value, place):
    histogram = Histogram([1, 10])
    histogram.add(value)
    assert [i for i, count in enumerate(histogram.snapshot().counts) if count] == [place]


def test_values_may_come_many_at_a_time():
    one_by_one, together = Histogram([1, 2]), Histogram([1, 2])
    for _ in range(7):
        one_by_one.add(1.5)
    together.add(1.5, 7)
    assert together.snapshot() == one_by_one.snapshot() == Distribution((1, 2), (0, 7, 0), 10.5)
    assert together.snapshot().count == 7


def test_a_snapshot_does_not_change():
    histogram = Histogram([1])
    before = histogram.snapshot()
    histogram.add(3)
    assert before == Distribution((1,), (0, 0), 0.0)


def test_distributions_add_up():
    histogram = Histogram([1, 2])
    histogram.add(0.5)
    histogram.add(5)
    once = histogram.snapshot()
    assert once + once == Distribution((1, 2), (2, 0, 2), 11.0)
