"""What a JSON text will cost to parse, found without parsing it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_DIGITS = 100  # Python needs quadratic time for a long integer

_BLOCK = 1 << 20  # bytes looked at in one go: bounds the scratch memory, not the text
_QUOTE, _COMMA = b'",'
_DEPTH_CHANGE = np.zeros(256, np.int8)
_DEPTH_CHANGE[list(b"[{")] = 1
_DEPTH_CHANGE[list(b"]}")] = -1
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)


@dataclass(frozen=True)
class JsonShape:
    """Counts outside of strings.

    depth       of arrays and objects within each other
    containers  arrays and objects
    commas      one less than the values of each container, summed
    long_number whether more than MAX_DIGITS digits follow one another
    """

    depth: int
    containers: int
    commas: int
    long_number: bool


def escapes_removed(text: bytes) -> bytes:
    r"""`text` with every `\\` and `\"` replaced by two other bytes; other escapes stay.

    What is left of backslashes begins an escape, and what is left of quotes ends a string.
    """
    if b"\\" not in text:
        return text
    return text.replace(b"\\\\", b"__").replace(b'\\"', b"__")


def json_shape(bare: bytes) -> JsonShape:
    """Shape of a text without escaped quotes, in time linear in its length.

    Any bytes are accepted; for what is not JSON the numbers say what a parser could meet.
    """
    depth = deepest = containers = commas = 0
    inside = False  # a string
    long_number, tail = False, b""
    values = np.frombuffer(bare, np.uint8)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        in_string = np.bitwise_xor.accumulate(block == _QUOTE) ^ inside
        inside = bool(in_string[-1])
        outside = block[~in_string]
        change = _DEPTH_CHANGE[outside]
        change = change[change != 0]
        if len(change):
            depths = np.cumsum(change, dtype=np.int64) + depth
            deepest = max(deepest, int(depths.max()))
            depth = int(depths[-1])
        containers += int(np.count_nonzero(change == 1))
        commas += int(np.count_nonzero(outside == _COMMA))
        digits = tail + outside.tobytes().translate(_DIGITS_AS_ZERO)
        long_number = long_number or _LONG_NUMBER in digits
        tail = digits[-MAX_DIGITS:]
    return JsonShape(deepest, containers, commas, long_number)
