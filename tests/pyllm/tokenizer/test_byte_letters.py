from __future__ import annotations

from tokenizers import pre_tokenizers

from pyllm.tokenizer.byte_letters import LETTERS, spelled_bytes


def test_the_alphabet_is_that_of_byte_level_tokenizers() -> None:
    assert set(LETTERS) == set(pre_tokenizers.ByteLevel.alphabet())
    assert len(LETTERS) == 256


def test_spelled_bytes_inverts_the_spelling() -> None:
    assert spelled_bytes("".join(LETTERS)) == bytes(range(256))
    assert spelled_bytes("Ġhé") == b" h\xe9"
    for char in (" ", "\n", "\x7f", "\xa0", "\xad", "\u0144", "▁", "\U0001f600"):
        assert spelled_bytes(f"a{char}b") is None  # a raw space spells nothing
    assert spelled_bytes("") == b""
