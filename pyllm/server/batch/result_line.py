"""The lines that answer a batch's, as OpenAI writes them; each begins with its id."""

from __future__ import annotations

from pyllm.server.batch.endpoints import Answer
from pyllm.server.batch.request_line import LineError
from pyllm.server.streams import to_json


def answered(line_id: str, custom_id: str, request_id: str, answer: Answer) -> bytes:
    """A line with what the route said, be it a refusal; `answer.body` is one line of JSON."""
    head = to_json({"id": line_id, "custom_id": custom_id})[:-1]
    response = to_json({"status_code": answer.status, "request_id": request_id})[:-1]
    return b'%s,"response":%s,"body":%s},"error":null}\n' % (head, response, answer.body)


def not_asked(line_id: str, number: int, error: LineError) -> bytes:
    """A line about one, the `number`th, that was no request or could not be worked on."""
    said = {"code": error.code, "message": error.message, "line": number}
    found = {"id": line_id, "custom_id": error.custom_id, "response": None, "error": said}
    return to_json(found) + b"\n"
