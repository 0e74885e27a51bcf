"""Row 19: JSON that parsers disagree about, or that grows, is refused in linear time."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.server.edge.json_body import (
    MAX_COMMAS,
    MAX_CONTAINERS,
    MAX_DEPTH,
    parse_json_object,
    read_json_object,
)
from pyllm.server.edge.json_shape import MAX_DIGITS
from pyllm.server.edge.refusal import Refusal


def nested(depth: int) -> bytes:
    """An object around depth - 1 arrays."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


ACCEPTED = {
    "empty": (b"{}", {}),
    "text": ('{"a": "ü\\n\\u00e9 😀"}'.encode(), {"a": "ü\né 😀"}),
    "pair": (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    "brackets in text": (b'{"a": "' + b"[{" * 100 + b'"}', {"a": "[{" * 100}),
    "escaped quotes": (b'{"a": "\\"[\\\\", "b": "\\\\\\""}', {"a": '"[\\', "b": '\\"'}),
    "backslash before u": (b'{"a": "\\\\ud800"}', {"a": "\\ud800"}),
    "numbers": (b'{"a": [1, -2.5, 1e300, 18446744073709551615]}', None),
    "digits in text": (b'{"a": "' + b"1" * 5000 + b'"}', None),
    "deepest": (nested(MAX_DEPTH), None),
    "same name elsewhere": (b'{"a": {"a": 1}, "b": {"a": 2}}', None),
}
REFUSED = {
    "nothing": (b"", "invalid_json"),
    "spaces": (b"  ", "invalid_json"),
    "array": (b"[1]", "invalid_json"),
    "string": (b'"a"', "invalid_json"),
    "null": (b"null", "invalid_json"),
    "cut": (b'{"a": ', "invalid_json"),
    "two": (b"{}{}", "invalid_json"),
    "byte order mark": (b"\xef\xbb\xbf{}", "invalid_json"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "invalid_utf8"),
    "Latin-1": (b'{"a": "\xe9"}', "invalid_utf8"),
    "surrogate in UTF-8": (b'{"a": "\xed\xa0\x80"}', "invalid_utf8"),
    "control character": (b'{"a": "\n"}', "invalid_json"),
    "too deep": (nested(MAX_DEPTH + 1), "json_too_deep"),
    "100 000 deep": (nested(100_000), "json_too_deep"),
    "only opened": (b'{"a":' + b"[" * 100_000, "json_too_deep"),
    "objects deep": (b'{"a":' * 70 + b"1" + b"}" * 70, "json_too_deep"),
    "many containers": (b'{"a":[' + b"[]," * MAX_CONTAINERS + b"[]]}", "json_too_large"),
    "many values": (b'{"a":[' + b"1," * (MAX_COMMAS + 1) + b"1]}", "json_too_large"),
    "name twice": (b'{"a": 1, "b": 2, "a": 1}', "duplicate_key"),
    "name twice, escaped": (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
    "name twice, inside": (b'{"x": [{"a": 1, "a": 2}]}', "duplicate_key"),
    "NaN": (b'{"a": NaN}', "invalid_number"),
    "Infinity": (b'{"a": Infinity}', "invalid_number"),
    "-Infinity": (b'{"a": -Infinity}', "invalid_number"),
    "beyond a double": (b'{"a": 1e400}', "invalid_number"),
    "long integer": (b'{"a": ' + b"9" * (MAX_DIGITS + 1) + b"}", "invalid_number"),
    "100 000 digits": (b'{"a": ' + b"9" * 100_000 + b"}", "invalid_number"),
    "high surrogate": (b'{"a": "\\ud800"}', "invalid_unicode"),
    "low surrogate": (b'{"a": "x\\udc00"}', "invalid_unicode"),
    "pair the wrong way": (b'{"a": "\\ude00\\ud83d"}', "invalid_unicode"),
    "high, then another": (b'{"a": "\\ud83d\\u0041"}', "invalid_unicode"),
    "pair torn by a backslash": (b'{"a": "\\ud83d\\\\\\ude00"}', "invalid_unicode"),
    "surrogate as a name": (b'{"\\uDFFF": 1}', "invalid_unicode"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_json_is_read(case: str) -> None:
    body, expected = ACCEPTED[case]
    assert parse_json_object(body) == (json.loads(body) if expected is None else expected)


@pytest.mark.parametrize("case", REFUSED)
def test_strange_json_is_refused(case: str) -> None:
    body, code = REFUSED[case]
    with pytest.raises(Refusal) as refused:
        parse_json_object(body)
    assert refused.value.status == 400
    assert refused.value.code == code
    assert len(refused.value.message) < 200


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**99), 10**99)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON_VALUES), st.booleans())
def test_what_others_write_is_read_back(value: dict[str, object], ascii_only: bool) -> None:
    assert parse_json_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.text('{}[]",:\\\\ud8fc01NaInfiy-.eE \n').map(str.encode) | st.binary())
def test_anything_else_is_refused_and_never_raises_otherwise(body: bytes) -> None:
    with contextlib.suppress(Refusal):
        assert parse_json_object(body) == json.loads(body)


def test_long_numbers_are_found_across_blocks() -> None:
    for padding in range(2**20 - 120, 2**20 + 5, 7):
        with pytest.raises(Refusal, match="digits"):
            parse_json_object(b'{"a":' + b" " * padding + b"9" * 101 + b"}")


def test_strings_are_told_from_structure_across_blocks() -> None:
    for padding in range(2**20 - 12, 2**20 + 5):
        body = b'{"a":"' + b"x" * padding + b'\\"' + b"[" * 70 + b'","b":[]}'
        assert parse_json_object(body)["b"] == []


def test_a_message_shows_a_hostile_name_escaped_and_shortened() -> None:
    name = b"\\u001b[2J" + b"x" * 1000
    with pytest.raises(Refusal) as refused:
        parse_json_object(b'{"%b": 1, "%b": 2}' % (name, name))
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 200


def test_a_long_body_is_parsed_beside_the_event_loop() -> None:
    async def parse_while_ticking() -> tuple[dict[str, object], int]:
        parsing = asyncio.create_task(read_json_object(body))
        ticks = 0
        while not parsing.done():
            await asyncio.sleep(0)
            ticks += 1
        return parsing.result(), ticks

    body = b'{"a": "' + b"x" * 4_000_000 + b'"}'
    found, ticks = asyncio.run(parse_while_ticking())
    assert len(str(found["a"])) == 4_000_000
    assert ticks > 1


def test_a_refusal_reaches_the_caller_from_the_other_thread() -> None:
    with pytest.raises(Refusal):
        asyncio.run(read_json_object(b'{"a": NaN, "b": "' + b"x" * 100_000 + b'"}'))
