from __future__ import annotations

from functools import cache
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyllm.errors import ModelFileError, TokenizerError
from pyllm.tokenizer import Tokenizer
from pyllm.tokenizer.byte_letters import LETTERS
from tests.pyllm.tokenizer.files import (
    NORMAL,
    PUBLISHED_PATTERNS,
    bpe_file,
    trained_bpe,
    training_text,
)


@cache
def built(pre: str) -> Tokenizer:
    return Tokenizer.from_gguf(trained_bpe(pre)[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("pre", list(PUBLISHED_PATTERNS))
@settings(deadline=None)
@given(text=st.text(max_size=80) | st.text("the in\n\tself.'s12é😀", max_size=200))
@example(text="def f(self):\n    return 12345  # it's fine")
def test_ids_are_those_of_the_reference_tokenizer(pre: str, text: str) -> None:
    reference = trained_bpe(pre)[1]
    assert built(pre).encode(text, add_special=False) == reference.encode(text).ids


@pytest.mark.parametrize("pre", list(PUBLISHED_PATTERNS))
def test_long_text_gives_the_references_ids(pre: str) -> None:
    reference, tokenizer = trained_bpe(pre)[1], built(pre)
    text = training_text() + "é" + training_text()
    assert tokenizer.encode(text, add_special=False) == reference.encode(text).ids
    letters = "".join(filter(str.isalpha, training_text()))  # one word of 130 000 letters
    assert tokenizer.encode(letters, add_special=False) == reference.encode(letters).ids


def test_a_word_that_merging_does_not_build_is_found_whole_where_the_family_wants_it() -> None:
    extra = {"abc": NORMAL, "Ġabc": NORMAL}
    whole = Tokenizer.from_gguf(bpe_file(["a b"], pre="llama-bpe", extra=extra))  # type: ignore[arg-type]
    merged = Tokenizer.from_gguf(bpe_file(["a b"], pre="qwen2", extra=extra))  # type: ignore[arg-type]
    text = "abc abcd abc"
    assert [whole.token_bytes(i) for i in whole.encode(text, add_special=False)] == [
        *(b"abc", b" ", b"ab", b"c", b"d", b" abc")
    ]
    assert [merged.token_bytes(i) for i in merged.encode(text, add_special=False)] == [
        *(b"ab", b"c", b" ", b"ab", b"c", b"d", b" ", b"ab", b"c")
    ]


def test_many_texts_at_once_are_the_texts_one_by_one() -> None:
    encoder = built("llama-bpe")._encoder
    texts = ["", "one", "two é", "", "x" * 300_000, "y " * 200_000, ""]
    assert encoder.encode_many(texts) == [encoder.encode_many([text])[0] for text in texts]
    assert encoder.encode_many([]) == []


def test_a_byte_without_a_token_is_an_error_when_it_is_needed() -> None:
    file = bpe_file([])
    file.metadata["tokenizer.ggml.tokens"][ord("x")] = "[gone]"
    tokenizer = Tokenizer.from_gguf(file)  # type: ignore[arg-type]
    assert len(tokenizer.encode("abc")) == 3
    with pytest.raises(TokenizerError, match="byte 0x78"):
        tokenizer.encode("xyz")


@pytest.mark.parametrize(
    "merge", ["ab", "a  b", " a b", "a b ", "a b c", "", " ", "a zz", "zz a", "a b"]
)
def test_a_malformed_merge_is_refused(merge: str) -> None:
    file = bpe_file([])  # "a b": both are tokens, "ab" is not
    file.metadata["tokenizer.ggml.merges"] = [merge]
    with pytest.raises(ModelFileError, match=r"merges\[0\]"):
        Tokenizer.from_gguf(file)  # type: ignore[arg-type]


@pytest.mark.parametrize("merges", [7, "a b", np.zeros(3, np.int32)])
def test_merges_of_another_type_are_refused(merges: object) -> None:
    file = bpe_file([])
    file.metadata["tokenizer.ggml.merges"] = merges
    with pytest.raises(ModelFileError, match=r"tokenizer\.ggml\.merges"):
        Tokenizer.from_gguf(file)  # type: ignore[arg-type]


def test_ten_million_merges_are_refused_unread() -> None:
    class Merges(list[str]):
        def __len__(self) -> int:
            return 10_000_000

        def __iter__(self) -> NoReturn:
            raise AssertionError("read")

    file = bpe_file([])
    file.metadata["tokenizer.ggml.merges"] = Merges()
    with pytest.raises(ModelFileError, match="10000000 strings"):
        Tokenizer.from_gguf(file)  # type: ignore[arg-type]


def test_merges_must_be_there() -> None:
    file = bpe_file([])
    del file.metadata["tokenizer.ggml.merges"]
    with pytest.raises(ModelFileError, match="missing"):
        Tokenizer.from_gguf(file)  # type: ignore[arg-type]


def test_a_repeated_merge_counts_once_at_its_first_place() -> None:
    once = Tokenizer.from_gguf(bpe_file(["a b", "b c"]))  # type: ignore[arg-type]
    twice = Tokenizer.from_gguf(bpe_file(["a b", "b c", "a b"]))  # type: ignore[arg-type]
    assert once.encode("abc bc") == twice.encode("abc bc")


def test_the_alphabet_may_stand_anywhere() -> None:
    file = bpe_file(["a b"])
    tokens = file.metadata["tokenizer.ggml.tokens"]
    tokens.reverse()
    tokenizer = Tokenizer.from_gguf(file)  # type: ignore[arg-type]
    assert tokenizer.encode("ab") == [0]
    assert tokenizer.encode("z") == [len(tokens) - 1 - LETTERS.index("z")]
