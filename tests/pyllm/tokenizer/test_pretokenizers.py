from __future__ import annotations

import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from pyllm.tokenizer.pretokenizers import (
    CHUNK_CHARS,
    FAMILIES,
    UnknownPreTokenizerWarning,
    chunks,
    pre_tokenizer,
)
from tests.pyllm.tokenizer.files import PUBLISHED_PATTERNS

# Letters, numbers, marks and spaces of several planes beside what the rules single out.
alphabet = st.sampled_from(
    list("aZé星ß𝒳ſ0٣²Ⅷ𝟘 \t\n\r\u00a0\u3000\u2028'stREvemLLd!?.$_\u0301😀\x1c\x85")
)
text = st.text(alphabet, max_size=60) | st.text(max_size=30)
PIECES = {
    "default": (
        r"[\p{P}\$\+<=>\^~\|]+",
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
        r"\p{N}+",
        r"[0-9][0-9][0-9]",
    ),
    "smollm": (r"\p{N}", PUBLISHED_PATTERNS["gpt-2"]),
}


@pytest.mark.parametrize("name", [*PUBLISHED_PATTERNS, *PIECES])
@settings(deadline=None)
@given(text=text)
@example(text="I'll  pay 1234567 €\n\n \n you'RE ")
@example(text="12a3456 ² 78")
def test_words_are_those_of_the_published_expression(name: str, text: str) -> None:
    passes = PIECES.get(name) or (PUBLISHED_PATTERNS[name],)
    cut = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in passes]
    )
    assert pre_tokenizer(name).words(text) == [word for word, _ in cut.pre_tokenize_str(text)]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: min(family.names))
@settings(deadline=None)
@given(text=text)
def test_no_character_is_lost(family: object, text: str) -> None:
    name = min(family.names)  # type: ignore[attr-defined]
    assert "".join(pre_tokenizer(name).words(text)) == text


def test_every_name_belongs_to_one_family() -> None:
    names = [name for family in FAMILIES for name in family.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["somebody-elses", "LLAMA-BPE", "\x1b[2J"])
def test_an_unknown_name_warns_and_says_what_is_used(name: str) -> None:
    with pytest.warns(UnknownPreTokenizerWarning, match="is not known to pyllm; using llama-bpe"):
        words = pre_tokenizer(name).words("it's 1234")
    assert words == ["it", "'s", " ", "123", "4"]


def test_no_name_warns() -> None:
    with pytest.warns(UnknownPreTokenizerWarning, match="names no pre-tokenizer"):
        pre_tokenizer(None)


def test_a_known_name_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for family in FAMILIES:
            for name in family.names:
                pre_tokenizer(name)


@pytest.mark.parametrize("name", list(PUBLISHED_PATTERNS))
def test_chunks_are_cut_where_words_begin(name: str) -> None:
    text = "It's a tale of 2 cities,\n\n  told twice. " * (3 * CHUNK_CHARS // 40)
    pieces = chunks(text)
    assert len(pieces) > 2
    assert "".join(pieces) == text
    pre = pre_tokenizer(name)
    assert [word for piece in pieces for word in pre.words(piece)] == pre.words(text)


def test_text_without_a_safe_place_is_one_chunk() -> None:
    text = "1" * (3 * CHUNK_CHARS)
    assert chunks(text) == [text]
