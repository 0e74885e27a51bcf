"""GPT-2's printable spelling of bytes: how byte-level vocabularies write their tokens."""

from __future__ import annotations

from typing import Final

__all__ = ["LETTERS", "MAX_LETTER", "spelled_bytes"]


def _letters() -> str:
    """Byte b's letter at index b: itself when printable, else the next free one from U+0100."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return "".join(chr(b if b in printable else next(spare)) for b in range(256))


LETTERS: Final = _letters()
MAX_LETTER: Final = 0x1FF  # the highest code point that may be one
_NO_BYTE: Final = "\uffff"
# Letters to the Latin-1 characters of their bytes; what stands for no byte is outside Latin-1.
_DECODING: Final = {
    **dict.fromkeys(range(256), _NO_BYTE),
    **{ord(letter): chr(byte) for byte, letter in enumerate(LETTERS)},
}


def spelled_bytes(token: str) -> bytes | None:
    """The bytes a token spells; None when it has a character that stands for no byte."""
    try:
        return token.translate(_DECODING).encode("latin-1")
    except UnicodeEncodeError:
        return None
