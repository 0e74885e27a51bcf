"""Failures of texts that are read are told in the client's words; rows are written one by one."""

from __future__ import annotations

import json

import pytest

from pyllm.errors import ContextLengthError, PyLLMError, QueueFullError, RequestError
from pyllm.server.errors import ApiError
from pyllm.server.text_reading import client_errors, rows_as_json


def told(error: PyLLMError) -> ApiError:
    with (
        pytest.raises(ApiError) as caught,
        client_errors("documents", text_1="query", text_2="documents"),
    ):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "status", "param"),
    [
        (RequestError("prompt", "", "is empty"), 400, "documents"),
        (RequestError("prompt_token_ids[3]", -1, "is too small"), 400, "documents[3]"),
        (RequestError("text_1", "", "is empty"), 400, "query"),
        (RequestError("text_2[7]", "", "is empty"), 400, "documents[7]"),
        (RequestError("dimensions", 0, "must be at least 1"), 400, "dimensions"),
        (RequestError("pooling_type", "rank", "gives scores"), 400, "model"),
        (ContextLengthError(300, 256), 400, "documents"),
        (QueueFullError(9, 900, 8, None, 3), 429, None),
    ],
)
def test_fields_have_the_names_that_the_client_gave_them(
    error: PyLLMError, status: int, param: str | None
) -> None:
    found = told(error)
    assert (found.status_code, found.param) == (status, param)
    assert "text_" not in found.message
    assert "prompt_token_ids" not in found.message


def test_other_errors_pass() -> None:
    with pytest.raises(ApiError, match="429"), client_errors("input"):
        raise ApiError(429, "later")
    with pytest.raises(KeyError), client_errors("input"):
        raise KeyError


@pytest.mark.parametrize("rows", [[], [[1.5]], [{"a": [0.1, -2e-9]}, {"a": []}, "x"]])
def test_rows_are_a_list(rows: list[object]) -> None:
    assert json.loads(rows_as_json(rows)) == rows
