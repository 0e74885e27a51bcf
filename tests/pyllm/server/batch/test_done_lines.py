from __future__ import annotations

import io
from pathlib import Path

import pytest

from pyllm.server.batch.done_lines import DoneLines, done_lines, line_id
from pyllm.server.batch.line_reader import read_lines

ASKED = b"one\n\ntwo\ntwo\nthree\n"


def answers(*numbers: int) -> bytes:
    """Of the lines with these numbers, as "batch" answers them."""
    raws = {raw.number: raw for raw in read_lines(io.BytesIO(ASKED))}
    return b"".join(b'{"id":"%s","x":1}\n' % line_id("batch", raws[n]).encode() for n in numbers)


@pytest.mark.parametrize(
    ("good", "bad", "found"),
    [
        (b"", b"", (0, 0)),
        (answers(1, 3, 4, 5), b"", (4, 0)),
        (answers(1, 4), answers(3), (2, 1)),
        (answers(1, 3) + answers(4)[:-1], b"", (2, 0)),  # torn by a power cut
        (answers(1) + answers(4), b"", (1, 0)),  # what answered line 3 was lost
        (answers(1) + b"{}\n", answers(3), (1, 1)),
    ],
)
def test_what_is_answered_in_order_counts(
    tmp_path: Path, good: bytes, bad: bytes, found: tuple[int, int]
) -> None:
    asked, files = tmp_path / "asked", (tmp_path / "good", tmp_path / "bad")
    asked.write_bytes(ASKED)
    files[0].write_bytes(good)
    files[1].write_bytes(bad)
    size = len(answers(1))
    assert done_lines("batch", asked, files) == tuple(DoneLines(n, n * size) for n in found)
    assert done_lines("other", asked, files) == (DoneLines(), DoneLines())


def test_files_that_are_gone_are_empty(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    asked.write_bytes(ASKED)
    files = (tmp_path / "good", tmp_path / "bad")
    assert done_lines("batch", asked, files) == (DoneLines(), DoneLines())
