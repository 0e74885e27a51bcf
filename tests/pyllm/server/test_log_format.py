"""Lines that stay lines."""

import json
import logging
import sys

import pytest

from pyllm.server.log_format import StructuredFormatter

HOSTILE = [
    "a\nlevel=info event=forged", "a\r\n", "\x1b[2J\x1b]0;title\x07", '"} {"event":"forged"}',
    "tab\tand=equals", "\u2028\u2029\x85", "\ud800 alone", "نص ‮ backwards", "", "\x00",
]  # fmt: skip


def record_of(message="hello", **fields):
    record = logging.LogRecord("pyllm.x", logging.WARNING, "", 1, message, (), None)
    record.created = 1753963506.25
    record.fields = fields
    return record


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_value_cannot_leave_its_place(value, log_format):
    line = StructuredFormatter(log_format).format(record_of(value, client=value, last="end"))
    assert line.isascii()
    assert line.isprintable()
    if log_format == "json":
        assert json.loads(line)["client"] == json.loads(line)["event"] == value
    else:
        assert line.endswith(" last=end")
        assert line.count(" event=") == 1 or " event=" in value


def test_json():
    line = StructuredFormatter("json").format(record_of(n=3, nothing=None, yes=True))
    assert line == (
        '{"time":"2025-07-31T12:05:06.250Z","level":"warning","logger":"pyllm.x",'
        '"event":"hello","n":3,"yes":true}'
    )


def test_words():
    line = StructuredFormatter("text").format(record_of("two words", n=3, nothing=None, yes=True))
    assert line == (
        'time=2025-07-31T12:05:06.250Z level=warning logger=pyllm.x event="two words" n=3 yes=true'
    )


def test_a_traceback_is_part_of_its_line():
    record = record_of()
    try:
        raise ValueError("bad\nluck")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = StructuredFormatter("json").format(record)
    assert "\n" not in line
    assert json.loads(line)["traceback"].endswith("ValueError: bad\nluck")


def test_a_value_has_an_end():
    assert len(StructuredFormatter("text").format(record_of("x" * 10**6))) < 10_000
