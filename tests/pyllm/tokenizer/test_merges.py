"""The native merge core against the definition of BPE."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.errors import TokenizerError
from pyllm.tokenizer.merges import MergeTable


def merged(rules: list[tuple[int, int, int, int]], symbols: list[int]) -> list[int]:
    """The definition: again and again the pair of lowest rank, the leftmost among equals."""
    table: dict[tuple[int, int], tuple[int, int]] = {}
    for left, right, result, rank in rules:
        table.setdefault((left, right), (rank, result))
    symbols = list(symbols)
    while True:
        pairs = [(*table[pair], at) for at, pair in enumerate(pairwise(symbols)) if pair in table]
        if not pairs:
            return symbols
        _, result, at = min(pairs, key=lambda pair: (pair[0], pair[2]))
        symbols[at : at + 2] = [result]


def run(rules: list[tuple[int, int, int, int]], words: list[list[int]]) -> list[list[int]]:
    table = MergeTable(np.array(rules, np.int32).reshape(-1, 4))
    ends = np.cumsum([len(word) for word in words], dtype=np.int64)
    tokens, token_ends = table.merge(np.array([s for word in words for s in word], np.int32), ends)
    starts = [0, *token_ends.tolist()]
    return [tokens[a:b].tolist() for a, b in pairwise(starts)]


symbol = st.integers(0, 5)
rule = st.tuples(symbol, symbol, symbol, st.integers(0, 9))


@settings(deadline=None)
@given(st.lists(rule, max_size=20), st.lists(st.lists(symbol, max_size=60), max_size=4))
def test_any_rules_give_what_the_definition_gives(
    rules: list[tuple[int, int, int, int]], words: list[list[int]]
) -> None:
    assert run(rules, words) == [merged(rules, word) for word in words]


@settings(deadline=None, max_examples=25)
@given(st.lists(rule, min_size=1, max_size=20), st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_a_long_word_is_merged_in_windows_with_the_same_result(
    rules: list[tuple[int, int, int, int]], seed: int, n_symbols: int
) -> None:
    # A separator that no rule knows cuts the same symbols into words below the window's size ...
    pieces = [
        np.random.default_rng(seed + i).integers(0, n_symbols, 1500).tolist() for i in range(14)
    ]
    separator = 99
    long_word = [s for piece in pieces for s in (*piece, separator)]
    expected = [t for piece in run(rules, pieces) for t in (*piece, separator)]
    assert run(rules, [long_word]) == [expected]


def test_windows_join_where_the_text_has_no_separator() -> None:
    # ... and without separators an ordered table is compared with one pass per rule.
    rng = np.random.default_rng(5)
    word = rng.integers(0, 4, 50_000).tolist()
    rules = []
    symbols = list(range(4))
    for rank in range(60):
        left, right = (int(s) for s in rng.choice(symbols, 2))
        rules.append((left, right, 4 + rank, rank))
        symbols.append(4 + rank)
    expected = word
    seen = set()
    for left, right, result, _ in rules:
        if (left, right) not in seen:
            seen.add((left, right))
            expected = one_pass(expected, left, right, result)
    assert run(rules, [word]) == [expected]


def one_pass(symbols: list[int], left: int, right: int, result: int) -> list[int]:
    out: list[int] = []
    at = 0
    while at < len(symbols):
        if symbols[at] == left and at + 1 < len(symbols) and symbols[at + 1] == right:
            out.append(result)
            at += 2
        else:
            out.append(symbols[at])
            at += 1
    return out


def test_a_word_of_equal_symbols_spans_windows() -> None:
    rules = [(0, 0, 1, 0), (1, 1, 2, 1), (2, 2, 3, 2)]
    assert run(rules, [[0] * 100_003]) == [[3] * 12_500 + [1, 0]]


def test_no_rules_and_no_words() -> None:
    assert run([], [[1, 2], [], [3]]) == [[1, 2], [], [3]]
    assert run([(0, 0, 1, 0)], []) == []


def test_negative_values_are_refused() -> None:
    with pytest.raises(TokenizerError):
        MergeTable(np.array([[0, 0, -1, 0]], np.int32))


def test_words_must_cover_the_text() -> None:
    table = MergeTable(np.zeros((0, 4), np.int32))
    symbols = np.arange(4, dtype=np.int32)
    for ends in ([3], [5], [], [5, 4]):
        with pytest.raises(TokenizerError):
            table.merge(symbols, np.array(ends, np.int64))
