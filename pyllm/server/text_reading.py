"""Texts that are embedded or scored, for as long as the client waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from starlette.requests import Request

from pyllm.errors import ContextLengthError, PyLLMError, RequestError
from pyllm.outputs import RequestOutput
from pyllm.pooling.embedding import PoolingJob
from pyllm.server.errors import ApiError, as_api_error
from pyllm.server.model_registry import Lease
from pyllm.server.openai.common import caller_of, service_of
from pyllm.server.streams import to_json, while_connected

VECTOR_BYTES = 16 * 1024  # of a vector's JSON, about: a thousand numbers


async def read_texts(
    request: Request,
    lease: Lease,
    jobs: Sequence[PoolingJob],
    *,
    priority: int | None = None,
    timeout: float | None = None,
) -> list[RequestOutput]:
    """Their last reports, in order. ClientGone when the client left; PyLLMError, ApiError."""
    read = service_of(request).read
    reading = read(lease, jobs, caller_of(request), priority=priority or 0, timeout=timeout)
    return await while_connected(request.receive, reading)


@contextmanager
def client_errors(text: str, **names: str) -> Iterator[None]:
    """PyLLMErrors become ApiErrors that call each field as the client did.

    text   the field that holds what is read
    names  of further fields, by the names they have inside
    """
    names = {"prompt_token_ids": text, "prompt": text, **names}
    try:
        yield
    except PyLLMError as error:
        raise _refused(error, names) from error


def _refused(error: PyLLMError, names: Mapping[str, str]) -> ApiError:
    if isinstance(error, RequestError) and not isinstance(error, ContextLengthError):
        if error.field == "pooling_type":  # what the model is made for
            return ApiError(400, f"model: {error.message}", "invalid_value", param="model")
        name = error.field.split("[")[0]
        renamed = names.get(name, name) + error.field.removeprefix(name)
        return as_api_error(RequestError(renamed, error.value, error.message))
    found = as_api_error(error)
    found.param = names.get(found.param or "", found.param)
    return found


def tokens_of(outputs: Iterable[RequestOutput]) -> int:
    """Of all texts together."""
    return sum(len(output.prompt_token_ids) for output in outputs)


def usage_of(outputs: Iterable[RequestOutput]) -> dict[str, int]:
    """OpenAI's `usage` of requests that write nothing."""
    tokens = tokens_of(outputs)
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def rows_as_json(rows: Iterable[object]) -> bytes:
    """A list, one row at a time: others get their turn between two rows of thousands of numbers."""
    return b"[" + b",".join(map(to_json, rows)) + b"]"
