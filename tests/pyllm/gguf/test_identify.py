"""identify: what a file that is not GGUF looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.gguf.identify import HEAD_BYTES, identify


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"  \n<!doctype html>", "web page"),
        (b"\xef\xbb\xbf<HTML>", "web page"),
        (b"[1, 2]", "JSON"),
        (bytes(257) + b"ustar" + bytes(10), "tar archive"),
        (b"\x10\0\0\0\0\0\0\0{ }", "safetensors"),
        (b"%PDF-1.7", "PDF"),
        (b"\x7fELF", "program"),
        (b"hello\n", "text file"),
        (bytes(100), "zeros"),
        (b"\xfe\xdc", "not a GGUF file"),
        (b"", "not a GGUF file"),
    ],
)
def test_known_files(head, expected):
    looks_like, advice = identify(head)
    assert expected in looks_like
    assert advice


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_get_an_answer(head):
    assert all(text.isprintable() and text for text in identify(head))
