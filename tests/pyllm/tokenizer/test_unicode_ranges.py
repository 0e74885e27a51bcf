from __future__ import annotations

import unicodedata

import pytest
from tokenizers import Regex, pre_tokenizers

from pyllm.tokenizer.unicode_ranges import LETTERS, NUMBERS, PUNCTUATION, WHITESPACE, Ranges

ALL = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)


def points(ranges: Ranges) -> set[int]:
    return {point for first, last in ranges for point in range(first, last + 1)}


@pytest.mark.parametrize(
    ("ranges", "pattern"),
    [
        (LETTERS, r"\p{L}+"),
        (NUMBERS, r"\p{N}+"),
        (PUNCTUATION, r"\p{P}+"),
        (WHITESPACE, r"\s+"),
    ],
)
def test_ranges_are_the_classes_of_the_reference_tokenizers(ranges: Ranges, pattern: str) -> None:
    cut = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    found = {ord(char) for piece, _ in cut.pre_tokenize_str(ALL) for char in piece}
    newer = {ord(char) for char in ALL if unicodedata.category(char) == "Cn"}
    assert points(ranges) - newer == found - newer


@pytest.mark.parametrize(("ranges", "category"), [(LETTERS, "L"), (NUMBERS, "N")])
def test_ranges_agree_with_python_where_it_knows_the_character(
    ranges: Ranges, category: str
) -> None:
    own = points(ranges)
    for char in ALL:
        kind = unicodedata.category(char)
        if kind != "Cn":
            assert (ord(char) in own) == (kind[0] == category), hex(ord(char))
