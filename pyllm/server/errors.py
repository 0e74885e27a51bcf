"""What a client is told when its request fails: never a path, an address or a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException

from pyllm.errors import (
    ContextLengthError,
    MemoryBudgetError,
    ModelFileError,
    PyLLMError,
    QueueFullError,
    RequestError,
    TemplateError,
    TokenizerError,
    printable,
)
from pyllm.server.edge import Refusal

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "service_unavailable",
}


class ApiError(HTTPException):
    """One failure, before a dialect writes it down.

    status   of HTTP
    message  one sentence for a person, with the next step
    code     for programs: "context_length_exceeded", "model_not_found", "queue_full", …
    param    the field at fault, as the client wrote it
    details  further numbers, beside the message
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.message = message
        self.code = code
        self.param = param
        self.details = dict(details or {})

    @property
    def kind(self) -> str:
        """OpenAI's `type`."""
        fallback = "invalid_request_error" if self.status_code < 500 else "server_error"
        return _TYPES.get(self.status_code, fallback)


def as_api_error(error: Exception) -> ApiError:
    """The same failure as a client may see it."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ContextLengthError):
        counts = {"prompt_tokens": error.prompt_tokens, "max_model_len": error.max_model_len}
        code = "context_length_exceeded"
        message = (
            f"the prompt has {error.prompt_tokens} tokens, the context holds "
            f"{error.max_model_len}; shorten the prompt or start the server with a larger -c"
        )
        return ApiError(400, message, code, param="prompt", details=counts)
    if isinstance(error, RequestError):
        value = "" if error.value is None else f"{printable(error.value)}: "
        message = f"{error.field}: {value}{error.message}"
        return ApiError(400, message, "invalid_value", param=error.field)
    if isinstance(error, QueueFullError):
        retry = {"Retry-After": str(error.retry_after)}
        return ApiError(429, str(error), "queue_full", headers=retry)
    if isinstance(error, TemplateError):
        return ApiError(422, str(error), "template_error", param="messages")
    if isinstance(error, TokenizerError):
        return ApiError(400, str(error), "tokenizer_error", param="prompt")
    if isinstance(error, ModelFileError | OSError):
        # Their texts name files of this machine.
        message = "the model cannot be loaded; the server's log says why"
        return ApiError(500, message, "model_load_failed", param="model")
    if isinstance(error, MemoryBudgetError):
        return ApiError(503, str(error), "insufficient_memory", param="model")
    if isinstance(error, PyLLMError):
        return ApiError(503, "the engine stopped while it worked on this request", "engine_stopped")
    return ApiError(500, "an unexpected error; the server's log has it", "internal_error")


def from_edge(refusal: Refusal) -> ApiError:
    """The same refusal, for a dialect to write down."""
    headers = dict(refusal.headers)
    return ApiError(
        refusal.status, refusal.message, refusal.code, param=refusal.param, headers=headers
    )


def model_not_found(name: str, known: list[str]) -> ApiError:
    """404 that names the first eight of the `known` models."""
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    message = f"the model {name[:100]!r} does not exist; there are: {shown}"
    return ApiError(404, message, "model_not_found", param="model")


def finished_badly(stop_reason: object) -> ApiError:
    """A request that ended with finish_reason "error"."""
    reason = str(stop_reason)
    at_fault = reason.startswith(("structured_outputs", "no_token_allowed"))
    if at_fault:
        return ApiError(400, f"the answer cannot be completed: {reason}", "generation_failed")
    known = reason if reason in ("nonfinite_logits",) else "see the server's log"
    return ApiError(500, f"generation failed: {known}", "generation_failed")
