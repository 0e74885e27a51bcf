"""The end of a text that runs in circles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.errors import RequestError
from pyllm.sampling.repetition import RepetitionDetectionParams, RepetitionDetector


def ends_in_repetition(tokens, params):
    detector = RepetitionDetector(params)
    return ([False] + [detector.add(token) for token in tokens])[-1]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1, 1, 1], True), ([2, 1, 1], False), ([9, 1, 2, 1, 2, 1, 2], True),
        ([1, 2, 1, 2, 2, 2], True), ([1, 2, 3, 1, 2, 3, 1, 2], False),
        ([1, 2, 3, 1, 2, 3, 1, 2, 3], True), ([1, 2, 3, 4] * 3, False), ([], False), ([1], False),
    ],
)  # fmt: skip
def test_patterns_of_up_to_three_tokens_three_times(tokens, expected):
    params = RepetitionDetectionParams(max_pattern_size=3, min_count=3)
    assert ends_in_repetition(tokens, params) is expected


def test_short_patterns_do_not_count():
    params = RepetitionDetectionParams(max_pattern_size=2, min_pattern_size=2, min_count=2)
    assert ends_in_repetition([1, 2, 1, 2], params)
    assert not ends_in_repetition([2, 1, 2], params)
    assert ends_in_repetition([3, 3, 3, 3], params)
    assert not ends_in_repetition([4, 3, 3], params)


def described(tokens, params):
    sizes = range(max(1, params.min_pattern_size), params.max_pattern_size + 1)
    return any(
        len(tokens) >= size * params.min_count
        and tokens[len(tokens) - size * params.min_count :] == tokens[-size:] * params.min_count
        for size in sizes
    )


@settings(max_examples=200, deadline=None)
@given(
    tokens=st.lists(st.integers(0, 1), max_size=300),
    sizes=st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted),
    min_count=st.integers(2, 6),
)
def test_every_token_is_judged_as_described(tokens, sizes, min_count):
    params = RepetitionDetectionParams(sizes[1], sizes[0], min_count)
    detector = RepetitionDetector(params)
    found = [detector.add(token) for token in tokens]
    assert found == [described(tokens[: i + 1], params) for i in range(len(tokens))]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"max_pattern_size": -1}, "max_pattern_size"),
        ({"max_pattern_size": 1025}, "max_pattern_size"),
        ({"max_pattern_size": 2, "min_pattern_size": 3, "min_count": 2}, "min_pattern_size"),
        ({"max_pattern_size": 2, "min_count": 1}, "min_count"),
    ],
)
def test_impossible_parameters_are_refused(fields, name):
    with pytest.raises(RequestError, match=name):
        RepetitionDetectionParams(**fields)
