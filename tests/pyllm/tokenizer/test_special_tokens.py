from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.tokenizer.special_tokens import SpecialTokens


def split(tokens: dict[str, int], text: str) -> list[str | int]:
    """The definition: from left to right, at each place the longest token."""
    pieces: list[str | int] = []
    plain = ""
    at = 0
    while at < len(text):
        found = max((t for t in tokens if text.startswith(t, at)), key=len, default=None)
        if found is None:
            plain += text[at]
            at += 1
            continue
        pieces += [plain, tokens[found]] if plain else [tokens[found]]
        plain = ""
        at += len(found)
    return [*pieces, plain] if plain else pieces


@given(
    st.lists(st.text("ab<|", min_size=1, max_size=5), max_size=8, unique=True),
    st.text("ab<| ", max_size=80),
)
def test_pieces_are_those_of_the_definition(texts: list[str], text: str) -> None:
    tokens = {token: at for at, token in enumerate(texts)}
    assert SpecialTokens(tokens).split(text) == split(tokens, text)


def test_the_longest_token_wins_and_overlaps_go_to_the_left() -> None:
    tokens = SpecialTokens({"<|a|>": 1, "<|a|>b": 2, "|>b": 3})
    assert tokens.split("x<|a|>by|>b") == ["x", 2, "y", 3]


def test_no_tokens_leave_the_text_whole() -> None:
    assert SpecialTokens({}).split("<s>") == ["<s>"]
    assert SpecialTokens({}).split("") == []


def test_white_space_behind_some_tokens_is_swallowed() -> None:
    tokens = SpecialTokens({"<|user|>": 1, "<s>": 2}, swallow_space_after={1})
    assert tokens.split("<|user|>\n Hi <s> x") == [1, "Hi ", 2, " x"]
    assert tokens.split("<|user|> \n") == [1]


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        (["a" * n for n in range(1, 400)], "a" * 500_000),
        (["a" * n + "b" for n in range(1, 400)], "a" * 500_000),
        (["a" * n + "b" for n in range(1, 400)] + ["a"], "a" * 500_000),
        ([chr(0x4E00 + n) + "x" for n in range(5000)], "\u4e00" * 500_000),
        (["<|" + chr(0x4E00 + n) for n in range(5000)], "<|" * 250_000),
    ],
    ids=["runs", "almost", "short and almost", "many firsts", "many seconds"],
)
def test_overlapping_tokens_cost_linear_time(texts: list[str], text: str) -> None:
    tokens = SpecialTokens({token: at for at, token in enumerate(texts)})
    start = time.thread_time()
    tokens.split(text)
    # 500 000 places with 400 candidates of 200 characters each take hours when tried one by one.
    assert time.thread_time() - start < 5
