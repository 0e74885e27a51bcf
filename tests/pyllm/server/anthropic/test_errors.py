from __future__ import annotations

import pytest

from pyllm.errors import ContextLengthError
from pyllm.server.anthropic.errors import error_body, error_response
from pyllm.server.errors import ApiError, as_api_error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_kinds_of_errors(status: int, kind: str) -> None:
    body = error_body(ApiError(status, "a reason"))
    assert body == {"type": "error", "error": {"type": kind, "message": "a reason"}}


def test_a_prompt_that_is_too_long_is_one_in_anthropics_words() -> None:
    message = error_body(as_api_error(ContextLengthError(300, 200)))["error"]["message"]
    assert message.startswith("prompt is too long: 300 tokens > 200 maximum")


def test_headers_are_kept() -> None:
    response = error_response(ApiError(429, "later", headers={"Retry-After": "3"}))
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")
