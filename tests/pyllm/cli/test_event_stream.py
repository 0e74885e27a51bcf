"""Server-sent events, cut anywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.cli.event_stream import MAX_EVENT_CHARS, EventStream
from pyllm.errors import PyLLMError


def read(*chunks: bytes) -> list[str]:
    stream = EventStream()
    events = [event for chunk in chunks for event in stream.feed(chunk)]
    return [*events, *stream.end()]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b": comment\n\n: another\ndata: a\n\n", ["a"]),
        (b"event: x\nid: 1\nretry: 3\ndata: a\n\n", ["a"]),
        (b"data:a\n\ndata:  a\n\n", ["a", " a"]),
        (b"data\n\n", [""]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"data: a", ["a"]),  # a server that leaves out the last empty line
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_events(data: bytes, events: list[str]) -> None:
    assert read(data) == events
    assert read(*(bytes([byte]) for byte in data)) == events


TEXT = "\ufeffdata: h\u00e9 \U0001f600\r\ndata: x\r\n\r\n: c\r\ndata: y\r\n\r\n".encode()


@given(st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_where_the_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(TEXT)]
    chunks = [TEXT[a:b] for a, b in pairwise(ends)]
    assert read(*chunks) == ["h\u00e9 \U0001f600\nx", "y"]


@pytest.mark.parametrize("line", [b"data: " + b"x" * 1000, b"data:\n" * 100])
def test_an_event_without_end_is_refused(line: bytes) -> None:
    chunks = [line] * (MAX_EVENT_CHARS // len(line) + 2)
    with pytest.raises(PyLLMError, match="an event of more than"):
        read(*chunks)


def test_many_events_are_no_long_one() -> None:
    stream = EventStream()
    event = b"data: " + b"x" * 2**20 + b"\n\n"
    assert sum(len(list(stream.feed(event))) for _ in range(6)) == 6
