"""JSON piece by piece: what Python's own reader takes is taken, and what it refuses is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllm.tool_calls.json_reader import MAX_DEPTH, JsonScanner, NotJson, is_json, is_json_object
from tests.pyllm.tokenizer.files import MATERIAL, material

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Not beyond 1 MB, but with every kind of escape.
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


def scanned(pieces: list[str]) -> str | None:
    """What was written of a whole value; None: it is none."""
    scanner, written = JsonScanner(), []
    try:
        for piece in pieces:
            end, text = scanner.take(piece, 0)
            written.append(text)
            if scanner.is_complete and (piece[end:].strip() or end < 0):
                return None
    except NotJson:
        return None
    return "".join(written) if scanner.is_complete else None


@settings(deadline=None)
@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_values_are_read_as_they_are(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert is_json(text)
    assert is_json_object(text) == isinstance(value, dict)
    written = scanned([*text, "\n"])
    assert written is not None
    assert json.loads(written) == value


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\u/\n', max_size=30))
def test_only_json_is_taken(text: str) -> None:
    try:
        json.loads(text, strict=False, parse_constant=lambda _: 1 / 0)
        is_valid = True
    except (ValueError, ZeroDivisionError):
        is_valid = False
    assert is_json(text) == is_valid


@pytest.mark.parametrize(
    "name",
    sorted(path.name for path in (MATERIAL / "grammar/JSONTestSuite/test_parsing").glob("*.json")),
)
def test_suite(name: str) -> None:
    raw = material("grammar", "JSONTestSuite", "test_parsing", name).read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return  # answers are text already
    if name.startswith("y_"):
        assert is_json(text)
    forgiven = ("unescaped_ctrl_char", "unescaped_newline", "unescaped_tab")
    if name.startswith("n_") and not any(word in name for word in forgiven):
        assert not is_json(text)


def test_bare_control_characters_are_escaped() -> None:
    assert scanned(['"a\nb\t\x01"']) == '"a\\nb\\t\\u0001"'


def test_depth_and_numbers_are_bounded() -> None:
    assert is_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert not is_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    assert is_json("1" * 1000)
    assert not is_json("1" * 2000)
