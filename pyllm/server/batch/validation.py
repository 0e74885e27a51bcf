"""What makes a whole batch fail before it begins."""

from __future__ import annotations

from pathlib import Path

from pyllm.server.batch.line_reader import read_lines
from pyllm.server.batch.request_line import LineError, read_request_line

MAX_LINES = 50_000  # as OpenAI's


class InvalidBatch(Exception):
    """Why; `line` of the input, from 1, when it is one's fault."""

    def __init__(self, code: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line


def count_requests(path: Path, endpoint: str) -> int:
    """How many lines there are. Raises InvalidBatch, and OSError; takes a minute for 500 MB.

    A line that is no request is not refused here: it gets its own error, and the others answers.
    """
    seen: dict[str, int] = {}
    total = 0
    with path.open("rb") as stream:
        for line in read_lines(stream):
            total += 1
            if total > MAX_LINES:
                limit = f"the file has more than {MAX_LINES} requests"
                raise InvalidBatch("too_many_requests", limit, line.number)
            try:
                custom_id = read_request_line(line, (endpoint,)).custom_id
            except LineError:
                continue
            first = seen.setdefault(custom_id, line.number)
            if first != line.number:
                message = f"custom_id: {custom_id[:100]!r} is also that of line {first}"
                raise InvalidBatch("duplicate_custom_id", message, line.number)
    if total == 0:
        raise InvalidBatch("empty_file", "the file holds no request")
    return total
