"""One line of OpenAI's batch files: {"custom_id", "method", "url", "body"}."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pyllm.errors import printable
from pyllm.server.batch.line_reader import MAX_LINE_BYTES, RawLine
from pyllm.server.edge import Refusal, parse_json_object

MAX_CUSTOM_ID_CHARS = 512
_FIELDS = ("custom_id", "method", "url", "body")


@dataclass(frozen=True)
class RequestLine:
    """What is asked, by which name, of which route; `size` in bytes."""

    custom_id: str
    url: str
    body: dict[str, Any]
    size: int


class LineError(Exception):
    """Why a line cannot be a request; `custom_id` when at least that could be read."""

    def __init__(self, code: str, message: str, custom_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.custom_id = custom_id


def read_request_line(line: RawLine, urls: Collection[str]) -> RequestLine:
    """Raises LineError.

    urls  of the routes that may be asked
    """
    if line.text is None:
        raise LineError("line_too_long", f"the line is longer than {MAX_LINE_BYTES} bytes")
    try:
        fields = parse_json_object(line.text)
    except Refusal as refusal:
        message = refusal.message.replace("the body", "the line")
        raise LineError(refusal.code, message) from None
    custom_id = _custom_id(fields.get("custom_id"))
    for name in fields:
        if name not in _FIELDS:
            raise LineError("unknown_field", f"{printable(name)} is not a known field", custom_id)
    if fields.get("method") != "POST":
        raise _wrong("method", fields, 'must be "POST"', custom_id)
    url, body = fields.get("url"), fields.get("body")
    if not isinstance(url, str) or url not in urls:
        raise _wrong("url", fields, f"must be {' or '.join(sorted(urls))}", custom_id)
    if not isinstance(body, dict):
        raise _wrong("body", fields, "must be an object", custom_id)
    if body.get("stream"):
        raise LineError("invalid_value", "body.stream: a batch does not stream", custom_id)
    return RequestLine(custom_id, url, body, len(line.text))


def _custom_id(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_CUSTOM_ID_CHARS:
        limit = f"must be a text of 1 to {MAX_CUSTOM_ID_CHARS} characters"
        raise LineError("invalid_value", f"custom_id: {printable(value)}: {limit}")
    return value


def _wrong(field: str, fields: dict[str, Any], limit: str, custom_id: str) -> LineError:
    if field not in fields:
        return LineError("invalid_value", f"{field}: is missing", custom_id)
    return LineError("invalid_value", f"{field}: {printable(fields[field])}: {limit}", custom_id)
