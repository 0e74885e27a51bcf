"""How lines of the server's log look: key=value words, or one JSON object a line.

Whatever a value holds, a line stays one line of printable ASCII: nobody can forge a second one, or
drive the terminal it is shown in.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["LogFormat", "StructuredFormatter"]

LogFormat = Literal["text", "json"]

_MAX_CHARS = 8192  # of a value: a traceback, at most
_PLAIN = re.compile(r"[\w.:/{}@+*-]+", re.ASCII)


class StructuredFormatter(logging.Formatter):
    """Fields of a record: time, level, its text, those of its `fields`, and any traceback.

    A record's `fields` are a mapping that was given as `extra={"fields": …}`; None is left out.
    """

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self._line = _json_line if log_format == "json" else _text_line

    def format(self, record: logging.LogRecord) -> str:
        given: Mapping[str, Any] = getattr(record, "fields", {})
        fields = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **{name: value for name, value in given.items() if value is not None},
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return self._line({name: _short(value) for name, value in fields.items()})


def _json_line(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":"), default=str)


def _text_line(fields: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_word(value)}" for name, value in fields.items())


def _word(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=True)  # escapes controls, quotes and surrogates


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _MAX_CHARS:
        return value[:_MAX_CHARS] + "…"
    return value


def _utc(seconds: float) -> str:
    """As RFC 3339 has it, with milliseconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
