"""What values flags take and how they refuse others."""

from __future__ import annotations

import math

import pytest

from pyllm.cli.values import (
    Shard,
    choice,
    integer,
    integers,
    number,
    number_or_inf,
    sampler_names,
    shard,
    switch,
    text,
    token_biases,
)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("7", 7), ("32k", 32000), ("32K", 32768), ("1.5k", 1500), ("2M", 2**21), ("1_000", 1000)],
)
def test_integers_may_be_written_for_people(typed: str, expected: int) -> None:
    assert integer(0)(typed) == expected


@pytest.mark.parametrize("typed", ["banana", "1.5", "", "k", "1kk", "0x10", "1e3", "9" * 31, "nan"])
def test_what_is_no_integer(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number; allowed: 0 or more"):
        integer(0)(typed)


def test_integer_range_is_told() -> None:
    with pytest.raises(ValueError, match=r"^0 is out of range; allowed: 1 to 1024$"):
        integer(1, 1024)("0")


def test_words_for_nothing() -> None:
    parse = integer(1, nothing={"-1": "no limit"})
    assert parse("-1") is None
    with pytest.raises(ValueError, match=r"allowed: 1 or more, -1 \(no limit\)"):
        parse("-2")


@pytest.mark.parametrize("typed", ["banana", "nan", "inf", "-inf", "", "1,5"])
def test_what_is_no_number(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a number; allowed: 0 or more"):
        number(0)(typed)


def test_number_range() -> None:
    assert number(0, 1)("0") == 0
    assert number(0, 1, above=True)("1") == 1
    with pytest.raises(ValueError, match="allowed: more than 0 to 1"):
        number(0, 1, above=True)("0")
    with pytest.raises(ValueError, match="allowed: -2 to 2"):
        number(-2, 2)("2.1")


def test_a_number_may_be_infinite_where_it_makes_sense() -> None:
    assert number_or_inf(0)("2.5") == 2.5
    assert number_or_inf(0)("inf") == math.inf
    for typed in ("0", "-inf", "nan", "x"):
        with pytest.raises(ValueError, match="allowed: more than 0, or inf"):
            number_or_inf(0)(typed)


def test_lists_choices_switches_and_text() -> None:
    assert integers(1)("512, 1k") == [512, 1000]
    assert choice("md", "csv")("csv") == "csv"
    assert switch("Yes") is True
    assert switch("off") is False
    assert text("ä") == "ä"
    with pytest.raises(ValueError, match="allowed: md, csv"):
        choice("md", "csv")("xml")
    with pytest.raises(ValueError, match="allowed: 1, 0"):
        switch("maybe")
    with pytest.raises(ValueError, match="not valid UTF-8"):
        text("\udcff")


def test_samplers_and_biases() -> None:
    assert sampler_names("top-k;temp") == ["top_k", "temperature"]
    with pytest.raises(ValueError, match="known names are"):
        sampler_names("top_k;nothing")
    assert token_biases("15043+1, 29871-0.5") == {15043: 1.0, 29871: -0.5}
    assert token_biases("7-inf") == {7: -math.inf}
    for typed in ("7+inf", "7-nan", "7inf"):
        with pytest.raises(ValueError, match="is no bias"):
            token_biases(typed)
    with pytest.raises(ValueError, match="is no bias"):
        token_biases("hello+1")


def test_shards() -> None:
    assert shard("2/8") == Shard(2, 8)
    for typed in ("0/2", "3/2", "1", "1/2/3", "x/2", "-1/2", "1/0", "١/٢"):
        with pytest.raises(ValueError, match="allowed"):
            shard(typed)
