"""Which dialect a path speaks, and how that dialect says no."""

from __future__ import annotations

from starlette.responses import Response

from pyllm.server.anthropic import errors as anthropic
from pyllm.server.edge import Refusal
from pyllm.server.errors import ApiError, from_edge
from pyllm.server.openai.common import PlainJSON, error_response


def refusal(path: str, error: ApiError) -> Response:
    """The response for a failed request to `path`."""
    if path.startswith("/api/"):
        return PlainJSON({"error": error.message}, error.status_code, error.headers)
    if path.startswith("/v1/messages"):
        return anthropic.error_response(error)
    return error_response(error)


def edge_refusal(path: str, refused: Refusal) -> bytes:
    """The body of what the edge refuses."""
    return bytes(refusal(path, from_edge(refused)).body)
