"""Flat log-probabilities are read, cut and joined like a list of dictionaries."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.outputs import Logprob
from pyllm.sampling import logprobs
from pyllm.sampling.logprobs import FlatLogprobs

ENTRIES = st.dictionaries(
    st.integers(0, 9),
    st.builds(Logprob, st.just(-1.5), st.integers(1, 9), st.just("x")),
    max_size=4,
)
BOUNDS = st.none() | st.integers(-12, 12)


def flat_of(values):
    flat = FlatLogprobs()
    for value in values:
        flat.append(value)
    return flat


@settings(max_examples=300, deadline=None)
@given(
    values=st.lists(ENTRIES, max_size=10),
    cut=st.builds(slice, BOUNDS, BOUNDS, st.sampled_from([None, 1, 2, 3, -1, -2])),
    more=st.lists(ENTRIES, max_size=3),
)
def test_slices_are_those_of_a_list(values, cut, more):
    flat = flat_of(values)
    part = flat[cut]
    assert part == flat_of(values[cut])
    assert list(part) == values[cut]
    part.extend(flat_of(more))  # and live on by themselves
    part += more
    assert list(part) == values[cut] + more * 2
    assert list(flat) == values


def test_a_slice_makes_no_entry_of_its_own(monkeypatch):
    flat = flat_of([{token: Logprob(-1.0, 1, "x") for token in range(21)}] * 100)

    def refuse(*_):
        raise AssertionError("an entry was made")

    monkeypatch.setattr(logprobs, "Logprob", refuse)
    assert len(flat[0:]) == len(flat[:]) == 100
    assert flat[40:60].token_ids == list(range(21)) * 20
    assert len(flat[::2]) == 50


def test_it_extends_itself():
    flat = flat_of([{1: Logprob(-1.0, 1, "a")}, {}])
    flat.extend(flat)
    assert list(flat) == [{1: Logprob(-1.0, 1, "a")}, {}] * 2
