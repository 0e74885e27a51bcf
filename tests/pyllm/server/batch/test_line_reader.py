from __future__ import annotations

import hashlib
import io

import pytest

from pyllm.server.batch import line_reader
from pyllm.server.batch.line_reader import read_lines


@pytest.fixture(autouse=True)
def _short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_reader, "MAX_LINE_BYTES", 10)


def test_lines_keep_their_numbers() -> None:
    found = list(read_lines(io.BytesIO(b"one\r\n\n  \ntwo\nthree")))
    assert [(line.number, line.text) for line in found] == [(1, b"one"), (4, b"two"), (5, b"three")]
    assert found[1].digest == hashlib.sha256(b"two").digest()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [9, 10, 11, 12, 13, 50, 200_000])
def test_a_line_that_is_too_long_is_not_kept(size: int, end: bytes) -> None:
    follows = [] if not end else [b"next"]
    found = list(read_lines(io.BytesIO(b"x" * size + end + b"".join(follows))))
    assert [line.text for line in found] == [b"x" * size if size <= 10 else None, *follows]
    assert [line.number for line in found] == [1, 2][: len(found)]


def test_long_lines_differ_in_their_digests() -> None:
    found = list(read_lines(io.BytesIO(b"x" * 99_999 + b"a\n" + b"x" * 99_999 + b"b\n")))
    assert found[0].digest != found[1].digest
