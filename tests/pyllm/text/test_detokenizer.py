from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.errors import TokenizerError
from pyllm.text.detokenizer import Detokenizer
from pyllm.tokenizer import Tokenizer
from tests.pyllm.tokenizer.files import spm_file, trained_bpe, trained_spm


@cache
def built(name: str) -> Tokenizer:
    file = trained_spm()[0] if name == "spm" else trained_bpe(name)[0]
    return Tokenizer.from_gguf(file)  # type: ignore[arg-type]


def bytewise() -> Tokenizer:
    """SPM with a token for each byte b at 3 + b, and "▁a" at 260."""
    return Tokenizer.from_gguf(spm_file({"▁": -2.0, "▁a": -1.0}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["spm", "gpt-2"])
@pytest.mark.parametrize("skip_special", [True, False])
@settings(deadline=None)
@given(ids=st.lists(st.integers(0, 799), max_size=60))
def test_streamed_pieces_joined_are_the_decoded_text(
    name: str, skip_special: bool, ids: list[int]
) -> None:
    tokenizer = built(name)
    stream = Detokenizer(tokenizer, skip_special)
    pieces = [*map(stream.add, ids), stream.flush()]
    assert "".join(pieces) == tokenizer.decode(ids, skip_special=skip_special)


@pytest.mark.parametrize("name", ["spm", "gpt-2"])
@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_every_piece_is_part_of_the_text_in_order(name: str, text: str) -> None:
    text = text.replace("▁", "_").replace("\ufffd", "?")
    tokenizer = built(name)
    stream = Detokenizer(tokenizer)
    shown = ""
    for token in tokenizer.encode(text):
        shown += stream.add(token)
        assert text.startswith(shown)  # never half a character, never a replacement
    assert shown == text
    assert stream.flush() == ""


def test_a_character_appears_with_its_last_byte() -> None:
    stream = Detokenizer(bytewise())
    emoji = "😀".encode()
    assert [stream.add(3 + byte) for byte in emoji] == ["", "", "", "😀"]


def test_bytes_that_are_no_character_are_replaced_as_soon_as_that_is_certain() -> None:
    stream = Detokenizer(bytewise())
    assert stream.add(3 + 0xF0) == ""
    assert stream.add(3 + ord("x")) == "\ufffdx"
    assert stream.add(3 + 0xE2) == ""
    assert stream.flush() == "\ufffd"
    assert stream.flush() == ""


def test_the_leading_space_is_dropped_at_the_start_only() -> None:
    stream = Detokenizer(bytewise())
    assert [stream.add(260), stream.add(260)] == ["a", " a"]
    after_bos = Detokenizer(bytewise(), after=[1])
    assert after_bos.add(260) == "a"


def test_text_that_continues_a_prompt_keeps_its_space() -> None:
    stream = Detokenizer(bytewise(), after=[1, 260])
    assert [stream.add(260), stream.add(2), stream.add(260)] == [" a", "", "a"]


def test_special_tokens_show_when_asked() -> None:
    assert Detokenizer(bytewise(), skip_special=False).add(2) == "</s>"


def test_an_unknown_id_is_an_error() -> None:
    with pytest.raises(TokenizerError):
        Detokenizer(bytewise()).add(100_000)
