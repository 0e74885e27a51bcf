from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyllm.errors import ModelFileError, TokenizerError
from pyllm.tokenizer import Tokenizer
from tests.pyllm.tokenizer.files import BYTE, NORMAL, FakeFile, spm_file, trained_spm, training_text


@cache
def built() -> Tokenizer:
    return Tokenizer.from_gguf(trained_spm()[0])  # type: ignore[arg-type]


def reference(text: str) -> list[int]:
    """What sentencepiece gives; its own dummy prefix is the space that pyllm adds, too."""
    return trained_spm()[1].encode(text) if text else []


@settings(deadline=None)
@given(st.text(max_size=80) | st.text("the in\n\tself.▁é😀", max_size=200))
@example("  leading, trailing and    inner spaces  ")
@example("a▁b \u2581 c")
def test_ids_are_those_of_sentencepiece(text: str) -> None:
    if "\0" not in text:  # sentencepiece cuts the text there
        assert built().encode(text, add_special=False) == reference(text)


def test_long_text_gives_sentencepieces_ids() -> None:
    tokenizer = built()
    text = training_text()
    assert tokenizer.encode(text, add_special=False) == reference(text)
    joined = text.replace(" ", "").replace("\n", "")  # one word of 150 000 letters
    assert tokenizer.encode(joined, add_special=False) == reference(joined)


def test_unknown_characters_become_byte_tokens() -> None:
    tokenizer = Tokenizer.from_gguf(spm_file({"▁": -1.0}))  # type: ignore[arg-type]
    assert tokenizer.encode("é", add_special=False) == [259, 3 + 0xC3, 3 + 0xA9]


def test_a_score_decides_which_pair_merges_first() -> None:
    pieces = {"▁": -9.0, "a": -9.0, "b": -9.0, "c": -9.0, "ab": -2.0, "bc": -1.0}
    tokenizer = Tokenizer.from_gguf(spm_file(pieces, add_space_prefix=False))  # type: ignore[arg-type]
    assert [tokenizer.token_bytes(i) for i in tokenizer.encode("abc", add_special=False)] == [
        b"a",
        b"bc",
    ]


def test_a_piece_of_characters_that_are_no_pieces_is_found() -> None:
    tokenizer = Tokenizer.from_gguf(spm_file({"xy": -1.0}, add_space_prefix=False))  # type: ignore[arg-type]
    assert tokenizer.encode("axyb", add_special=False) == [3 + 97, 259, 3 + 98]


def test_pieces_that_reach_over_a_space_are_found() -> None:
    pieces = {"▁": -9.0, "a": -9.0, "b": -9.0, "a▁": -2.0, "a▁b": -1.0}
    tokenizer = Tokenizer.from_gguf(spm_file(pieces, add_space_prefix=False))  # type: ignore[arg-type]
    assert tokenizer.encode("a ba b", add_special=False) == [263, 263]


def without_bytes(**keys: object) -> FakeFile:
    metadata: dict[str, object] = {
        "model": "llama",
        "tokens": ["<unk>", "a"],
        "scores": np.zeros(2, np.float32),
        "token_type": np.array([2, NORMAL], np.int32),
        "add_space_prefix": False,
    }
    return FakeFile(metadata | keys)


def test_without_byte_tokens_a_character_is_unknown() -> None:
    tokenizer = Tokenizer.from_gguf(without_bytes(unknown_token_id=0))  # type: ignore[arg-type]
    assert tokenizer.encode("aéa", add_special=False) == [1, 0, 1]


def test_without_an_unknown_token_it_is_an_error() -> None:
    tokenizer = Tokenizer.from_gguf(without_bytes())  # type: ignore[arg-type]
    with pytest.raises(TokenizerError, match="no token for the character 'é'"):
        tokenizer.encode("é")


@pytest.mark.parametrize("text", ["<0x-1>", "<0xZZ>", "<0x>", "<0x1FF>", "<0x+1>", "<0x 1>"])
def test_a_malformed_byte_token_is_refused(text: str) -> None:
    file = without_bytes(tokens=["<unk>", text], token_type=np.array([2, BYTE], np.int32))
    with pytest.raises(ModelFileError, match=r"tokens\[1\]"):
        Tokenizer.from_gguf(file)  # type: ignore[arg-type]


def test_missing_byte_tokens_are_refused() -> None:
    file = spm_file({})
    kinds = file.metadata["tokenizer.ggml.token_type"].copy()
    kinds[[3 + 7, 3 + 8, 3 + 9]] = NORMAL
    file.metadata["tokenizer.ggml.token_type"] = kinds
    with pytest.raises(ModelFileError, match=r"253 byte tokens.*<0x07> is missing"):
        Tokenizer.from_gguf(file)  # type: ignore[arg-type]


def test_too_many_long_tokens_are_refused() -> None:
    file = without_bytes(
        tokens=[f"{n:02000}" for n in range(5000)],
        scores=np.zeros(5000, np.float32),
        token_type=np.full(5000, NORMAL, np.int32),
    )
    with pytest.raises(ModelFileError, match="characters in all tokens"):
        Tokenizer.from_gguf(file)  # type: ignore[arg-type]
