"""pyllm_gguf_strings against a model in Python, on buffers that end where they must not be read."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.kernels import ffi, lib

IMPOSSIBLE = -(1 << 63)


def scan(data: bytes, offset: int, count: int, max_len: int) -> tuple[int, list[int]]:
    """The answer of the C function and the ends it wrote."""
    # Exactly as large as the data, so that a sanitizer build sees any read behind it.
    buffer = ffi.new("uint8_t[]", max(1, len(data)))
    ffi.memmove(buffer, data, len(data))
    ends = np.full(max(1, min(count, 10_000)), -1, np.int64)
    pointer = ffi.cast("int64_t *", ends.ctypes.data)
    after = lib.pyllm_gguf_strings(buffer, len(data), offset, count, max_len, pointer)
    assert after == lib.pyllm_gguf_strings(buffer, len(data), offset, count, max_len, ffi.NULL)
    return after, [end for end in ends.tolist() if end >= 0]


def model(data: bytes, offset: int, count: int, max_len: int) -> tuple[int, list[int]]:
    ends: list[int] = []
    position = offset
    for _ in range(count):
        if len(data) - position < 8:
            return -1 - position, ends
        (length,) = struct.unpack_from("<Q", data, position)
        if length > max_len or position + 8 + length > len(data):
            return -1 - position, ends
        position += 8 + length
        ends.append(position)
    return position, ends


def encoded(strings: list[bytes]) -> bytes:
    return b"".join(struct.pack("<Q", len(raw)) + raw for raw in strings)


@given(st.lists(st.binary(max_size=12), max_size=8), st.binary(max_size=9), st.data())
def test_agrees_with_the_model(strings, tail, data):
    content = encoded(strings) + tail
    offset = data.draw(st.integers(0, len(content)))
    count = data.draw(st.integers(0, 10))
    max_len = data.draw(st.integers(0, 12))
    assert scan(content, offset, count, max_len) == model(content, offset, count, max_len)
    assert scan(content, 0, len(strings), 12)[0] == len(encoded(strings))


@given(st.lists(st.binary(max_size=5), max_size=4), st.integers(0, (1 << 64) - 1))
def test_any_length_field(strings, length):
    content = encoded(strings) + struct.pack("<Q", length) + b"abc"
    count = len(strings) + 1
    most = (1 << 63) - 1
    assert scan(content, 0, count, most) == model(content, 0, count, most)


@pytest.mark.parametrize(
    "arguments", [(-1, 0, 0, 8), (4, -1, 0, 8), (4, 5, 0, 8), (4, 0, -1, 8), (4, 0, 0, -1)]
)
def test_impossible_arguments(arguments):
    buffer = ffi.new("uint8_t[]", 4)
    assert lib.pyllm_gguf_strings(buffer, *arguments, ffi.NULL) == IMPOSSIBLE
    assert lib.pyllm_gguf_strings(ffi.NULL, 4, 0, 1, 8, ffi.NULL) == IMPOSSIBLE
