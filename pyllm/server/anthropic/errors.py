"""How Anthropic's interface says no."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from pyllm.server.errors import ApiError
from pyllm.server.openai.common import PlainJSON

# Where Anthropic's name for a kind of failure is not OpenAI's.
_TYPES = {
    413: "request_too_large",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_body(error: ApiError) -> dict[str, Any]:
    """An error as JSON, of a response and of a stream's `error` event."""
    kind = _TYPES.get(error.status_code, error.kind)
    return {"type": "error", "error": {"type": kind, "message": _message(error)}}


def _message(error: ApiError) -> str:
    """Clients (Claude Code) know by Anthropic's very words when to shorten a conversation."""
    if error.code != "context_length_exceeded":
        return error.message
    tokens, most = error.details["prompt_tokens"], error.details["max_model_len"]
    return f"prompt is too long: {tokens} tokens > {most} maximum; {error.message}"


def error_response(error: ApiError) -> Response:
    """The same as a whole response, with the error's status and headers."""
    return PlainJSON(error_body(error), error.status_code, error.headers)
