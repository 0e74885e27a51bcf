"""Sequences that end a text, against trying each of them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.sampling.token_suffixes import TokenSuffixes

TOKENS = st.lists(st.integers(0, 2), max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    sequences=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=5), max_size=30),
    tokens=TOKENS,
    start=st.integers(0, 12),
)
def test_as_if_each_were_tried(sequences, tokens, start):
    suffixes = TokenSuffixes()
    for number, sequence in enumerate(sequences):
        suffixes.add(sequence, number)
    assert bool(suffixes) == bool(sequences)
    text = tokens[start:]
    expected = [i for i, s in enumerate(sequences) if text[max(0, len(text) - len(s)) :] == s]
    found = list(suffixes.matches(tokens, start, len(tokens)))
    assert sorted(found) == expected
    assert found == sorted(found, key=lambda i: len(sequences[i]))
