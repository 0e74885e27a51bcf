"""The end of a text that runs in circles."""

import pytest

from pyllm.errors import RequestError
from pyllm.repetition import RepetitionDetectionParams, ends_in_repetition


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
    assert ends_in_repetition(tokens, 0, params) is expected


def test_the_prompt_and_short_patterns_do_not_count():
    params = RepetitionDetectionParams(max_pattern_size=2, min_pattern_size=2, min_count=2)
    assert ends_in_repetition([1, 2, 1, 2], 0, params)
    assert not ends_in_repetition([1, 2, 1, 2], 1, params)
    assert ends_in_repetition([3, 3, 3, 3], 0, params)
    assert not ends_in_repetition([4, 3, 3], 0, params)


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
