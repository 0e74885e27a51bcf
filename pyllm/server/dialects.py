"""Which dialect a path speaks, and how that dialect says no."""

from __future__ import annotations

from typing import Protocol

from starlette.responses import Response

from pyllm.server.anthropic import errors as anthropic
from pyllm.server.edge import Refusal, RenderRefusal
from pyllm.server.errors import ApiError, from_edge
from pyllm.server.openai.common import PlainJSON, error_response


def refusal(path: str, error: ApiError) -> Response:
    """The response for a failed request to `path`."""
    if path.startswith("/api/"):
        return PlainJSON({"error": error.message}, error.status_code, error.headers)
    if path.startswith("/v1/messages"):
        return anthropic.error_response(error)
    return error_response(error)


class Counts(Protocol):
    """ServerMetrics, as far as it counts refusals."""

    def rejected(self, code: str | None) -> None: ...


def counted_refusals(counts: Counts) -> RenderRefusal:
    """For the edge and its connections: writes down what they refuse, and counts it."""

    def render(path: str, refused: Refusal) -> bytes:
        counts.rejected(refused.code)
        return edge_refusal(path, refused)

    return render


def edge_refusal(path: str, refused: Refusal) -> bytes:
    """The body of what the edge refuses."""
    return bytes(refusal(path, from_edge(refused)).body)
