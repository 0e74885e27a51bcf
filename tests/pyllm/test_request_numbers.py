"""Numbers go by arrival; names are numbers that nobody else has."""

from pyllm.request_numbers import RequestNumbers


def test_names_are_the_numbers_unless_these_are_used():
    numbers = RequestNumbers()
    used = {"1", "2", "5"}
    drawn = [numbers.draw(name, used.__contains__) for name in (None, None, "own", None, None)]
    assert drawn == [(0, "0"), (1, "3"), (2, "own"), (3, "6"), (4, "7")]
