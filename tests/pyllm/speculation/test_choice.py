"""The choice of counts is the best there is, compared with trying all of them."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from pyllm.speculation.choice import best_counts


def speed(counts, rates, base, seconds):
    expected = base + sum(
        rate ** (i + 1) for rate, count in zip(rates, counts, strict=True) for i in range(count)
    )
    return expected / seconds(sum(counts))


@given(
    offers=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=3),
    slopes=st.lists(st.floats(0, 1), min_size=12, max_size=12),
    spare=st.integers(0, 3),
    room=st.integers(0, 12),
)
def test_no_other_counts_are_faster(offers, slopes, spare, room):
    rates, limits = [rate for rate, _ in offers], [limit for _, limit in offers]
    base = len(offers) + spare

    def seconds(number):
        return 1 + sum(slopes[:number])

    counts = best_counts(rates, limits, base=base, room=room, seconds=seconds, margin=1.0)
    assert sum(counts) <= room
    assert all(count <= limit for count, limit in zip(counts, limits, strict=True))
    everything = product(*(range(limit + 1) for limit in limits))
    best = max(speed(c, rates, base, seconds) for c in everything if sum(c) <= room)
    assert speed(counts, rates, base, seconds) >= best * (1 - 1e-9)


def test_what_gains_less_than_the_margin_is_left():
    def seconds(number):
        return 1 + 0.5 * number

    options = {"base": 1, "room": 4, "seconds": seconds}
    assert best_counts([0.52], [1], **options, margin=1.0) == [1]
    assert best_counts([0.52], [1], **options, margin=1.04) == [0]


def test_nothing_offered():
    assert best_counts([0.9], [0], base=1, room=4, seconds=lambda n: 1.0, margin=1) == [0]
