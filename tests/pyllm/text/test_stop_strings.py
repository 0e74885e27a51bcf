"""Stop strings: what is shown does not depend on how the text was cut into pieces."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyllm.text.stop_strings import StopMatcher, StopStrings

texts = st.text("abc", max_size=30)
stop_lists = st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=4)


def expected(text, stops, include):
    """By brute force: the first end of a match wins, at one end the longest match."""
    for end in range(1, len(text) + 1):
        found = [s for s in stops if text[:end].endswith(s)]
        if found:
            stop = max(found, key=len)
            return text[: end if include else end - len(stop)], stop
    return text, None


@given(texts, stop_lists, st.lists(st.integers(1, 5), max_size=30), st.booleans())
@example("abcabd", ["abd"], [1], False)
@example("aab", ["ab"], [1], False)
@example("abc", ["b", "abc"], [3], True)
def test_equals_brute_force_however_the_text_is_cut(text, stops, cuts, include):
    stream = StopStrings(StopMatcher(stops), include_in_output=include)
    shown, rest = "", text
    for cut in [*cuts, len(text)]:
        piece, rest = rest[:cut], rest[cut:]
        shown += stream.push(piece)
        if stream.matched:
            break
        fed = text[: len(text) - len(rest)]
        # Held back is exactly the longest suffix that may still become a stop string.
        held = max((n for s in stops for n in range(len(s)) if fed.endswith(s[:n])), default=0)
        assert shown == fed[: len(fed) - held]
    shown += stream.flush() if not stream.matched else ""
    assert (shown, stream.matched) == expected(text, stops, include)


def test_nothing_is_shown_after_a_match():
    stream = StopStrings(StopMatcher(["x"]), include_in_output=False)
    assert stream.push("ax") == "a"
    assert stream.push("bcd") == ""
    assert stream.flush() == ""


def test_matches_before_min_tokens_pass():
    stream = StopStrings(StopMatcher(["stop"]), include_in_output=False)
    assert stream.push("a stop b", may_match=False) == "a stop b"
    assert stream.push("c stop d") == "c "
    assert stream.matched == "stop"


@pytest.mark.parametrize("count", [10_000])
def test_many_stop_strings_cost_no_more_per_character(count):
    matcher = StopMatcher([f"{number:05d}" for number in range(count)])
    stream = StopStrings(matcher, include_in_output=False)
    assert stream.push("x" * 1000 + "0999") == "x" * 1000
    assert stream.push("9") == ""
    assert stream.matched == "09999"
