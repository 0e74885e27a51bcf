"""TokenHistory equals counting from scratch, however long the sequence."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pyllm.sampling.history import TokenHistory, WindowHistory

tokens = st.lists(st.integers(0, 400), max_size=300)


@given(prompt=tokens, output=tokens)
def test_equals_counting_from_scratch(prompt, output):
    history = TokenHistory(prompt)
    for token in output:
        history.add(token)
    counts = Counter(output)
    assert history.tokens.tolist() == list(dict.fromkeys(prompt + output))
    assert history.counts.tolist() == [counts[token] for token in history.tokens.tolist()]


@given(
    prompt=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    output=st.lists(st.integers(0, 9), max_size=6),
    more=st.lists(st.integers(0, 9), max_size=6),
)
def test_after_is_what_adding_would_give_and_changes_nothing(prompt, output, more):
    history, later = TokenHistory(prompt), TokenHistory(prompt)
    for token in output:
        history.add(token)
        later.add(token)
    for token in more:
        later.add(token)
    before = history.tokens.tolist(), history.counts.tolist()
    tokens, counts = history.after(more)
    assert (tokens.tolist(), counts.tolist()) == (later.tokens.tolist(), later.counts.tolist())
    assert tokens.typecode == counts.typecode == "i"
    assert (history.tokens.tolist(), history.counts.tolist()) == before


@given(prompt=tokens, output=tokens, more=tokens, size=st.sampled_from([-1, 1, 2, 7, 64]))
def test_a_window_after_more_tokens_is_what_adding_would_give(prompt, output, more, size):
    history, later = WindowHistory(prompt, size), WindowHistory(prompt, size)
    for token in output:
        history.add(token)
    for token in output + more:
        later.add(token)
    before = history.tokens.tolist(), history.counts.tolist()
    seen, counts = history.after(more)
    expected = zip(later.tokens.tolist(), later.counts.tolist(), strict=True)
    assert dict(zip(seen.tolist(), counts.tolist(), strict=True)) == dict(expected)
    assert seen.typecode == counts.typecode == "i"
    assert (history.tokens.tolist(), history.counts.tolist()) == before


@given(prompt=tokens, output=tokens, size=st.sampled_from([-1, 1, 2, 7, 64]))
def test_a_window_equals_counting_its_tokens(prompt, output, size):
    history = WindowHistory(prompt, size)
    for token in output:
        history.add(token)
    window = (prompt + output)[-size if size > 0 else 0 :]
    counted = dict(zip(history.tokens.tolist(), history.counts.tolist(), strict=True))
    assert counted == Counter(window)
