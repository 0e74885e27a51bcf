"""DRY against a plain description: compare the end of the text with every place before it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm._core import find_repeats
from pyllm.engine.engine import Engine
from pyllm.sampling import dry
from pyllm.sampling.dry import Breakers, DryHistory, breakers_of
from pyllm.sampling.params import SamplingParams
from tests.pyllm.fake_program import FakeModel, FakeTokenizer

TOKENIZER = FakeTokenizer()


def described(tokens, *, last_n, allowed, multiplier, base, breakers):
    """Penalties by token. breakers are strings of one character."""
    window = tokens if last_n < 0 else tokens[max(0, len(tokens) - last_n) :]
    limit = len(window)
    broken = {t for t in range(272) if any(b in TOKENIZER.token_bytes(t).decode("latin-1")
                                           for b in breakers)}  # fmt: skip
    for back, token in enumerate(reversed(window)):
        if token in broken:
            limit = back
            break
    if len(window) <= allowed or limit < allowed:
        return {}
    longest = {}
    for place in range(1, len(window)):
        length = 0
        while length < place and window[place - 1 - length] == window[-1 - length]:
            length += 1
        length = min(length, limit)
        if length >= allowed:
            longest[window[place]] = max(longest.get(window[place], 0), length)
    return {
        token: -multiplier * base ** (length - allowed)
        for token, length in longest.items()
        if token not in broken
    }


@settings(max_examples=300, deadline=None)
@given(
    tokens=st.lists(st.sampled_from(list(b"abc:\n")), min_size=1, max_size=40),
    cut=st.integers(0, 40),
    last_n=st.sampled_from([-1, 1, 5, 12, 64]),
    allowed=st.integers(0, 3),
    breakers=st.sampled_from([(), (":",), ("\n", ":")]),
)
def test_penalties_are_as_described(tokens, cut, last_n, allowed, breakers):
    params = SamplingParams(
        dry_multiplier=0.8, dry_base=1.5, dry_allowed_length=allowed, dry_penalty_last_n=last_n
    )
    history = DryHistory(tokens[:cut], params, breakers_of(TOKENIZER, breakers))
    for token in tokens[cut:]:
        history.add(token)
    ids, values = history.penalties()
    expected = described(
        tokens, last_n=last_n, allowed=allowed, multiplier=0.8, base=1.5, breakers=breakers
    )
    assert set(ids.tolist()) == set(expected)
    for token, value in zip(ids.tolist(), values.tolist(), strict=True):
        assert value == pytest.approx(expected[token], rel=1e-6)


def test_breakers_may_be_written_by_several_tokens():
    breakers = Breakers(TOKENIZER, ["stop", "ab"])
    assert 262 in breakers.single_tokens  # "stop"
    assert 265 in breakers.single_tokens  # "ab"
    assert 266 in breakers.single_tokens  # "abc" holds it
    for text in ([260, *b"op"], list(b"stop")):  # "st", then the rest
        assert list(breakers.suffixes.matches(text, 0, len(text))) == [len(text)]
    params = SamplingParams(dry_multiplier=1.0, dry_allowed_length=1, dry_penalty_last_n=-1)
    text = list(b"xyzstop")
    history = DryHistory([*text, *b"xy"], params, breakers)
    ids, _ = history.penalties()
    assert ids.tolist() == [ord("z")]
    history = DryHistory([*b"xyz", *b"stopxyzsto"], params, breakers)
    assert len(history.penalties()[0])
    history.add(ord("p"))  # now the restart is complete
    assert not len(history.penalties()[0])


def test_the_largest_penalty_is_finite():
    params = SamplingParams(dry_multiplier=1e38, dry_base=1e30, dry_penalty_last_n=-1)
    history = DryHistory([1] * 500, params, breakers_of(TOKENIZER, ()))
    assert np.isfinite(history.penalties()[1]).all()


def test_find_repeats_of_nothing():
    assert find_repeats(np.int32([]), 5, 1) == {}
    assert find_repeats(np.int32([4]), 5, 1) == {}


def test_a_copy_goes_on_by_itself():
    params = SamplingParams(dry_multiplier=1.0, dry_penalty_last_n=-1)
    history = DryHistory(list(b"abcdabc"), params, breakers_of(TOKENIZER, ()))
    twin = history.copy()
    for _ in range(200):
        twin.add(ord("x"))
    assert history.penalties()[0].tolist() == [ord("d")]
    assert twin.penalties()[0].tolist() == [ord("x")]


def test_the_prompt_is_read_once_for_all_continuations(monkeypatch):
    read = []
    monkeypatch.setattr(DryHistory, "add", lambda _, token: read.append(token))
    params = SamplingParams(n=5, dry_multiplier=1.0)
    request = Engine(FakeModel()).make_request(None, [1, 2, 3], params)
    assert read == [1, 2, 3]
    assert len({id(c.sequence.dry) for c in request.continuations}) == 5


def test_many_breakers_that_end_alike_are_one_walk():
    breakers = Breakers(TOKENIZER, [chr(first) + "q" for first in range(33, 97)])
    looks = []

    class Watched(list):
        def __getitem__(self, place):
            looks.append(place)
            return super().__getitem__(place)

    assert next(breakers.suffixes.matches(Watched(b"!!!!!~q"), 0, 7), None) is None
    assert len(looks) == 2
    assert next(breakers.suffixes.matches(Watched(b"!!!!!Aq"), 0, 7)) == 2
    assert len(looks) == 4


def test_sets_of_breakers_are_remembered_by_any_number_of_threads():
    tokenizer = FakeTokenizer()

    def ask(number):
        strings = (chr(97 + number % 12),)
        return all(breakers_of(tokenizer, strings).single_tokens for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(64)))
    assert breakers_of(tokenizer, ("z",)) is breakers_of(tokenizer, ["z"])
    assert len(dry._breakers[tokenizer]) <= dry._CACHED_SETS
