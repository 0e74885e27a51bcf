"""Parts of OpenAI's responses that several routes share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyllm.server.answer_run import AnswerRun
from pyllm.server.body import BODY_BYTES
from pyllm.server.edge.guard import new_request_id
from pyllm.server.errors import ApiError
from pyllm.server.events import Usage
from pyllm.server.long_json import long_json
from pyllm.server.model_registry import Lease
from pyllm.server.off_loop import INLINE_BYTES, off_loop
from pyllm.server.service import Caller, Service
from pyllm.server.streams import comment, to_json, while_connected

T = TypeVar("T")


class PlainJSON(JSONResponse):
    """JSON as the streams write it: lone surrogates of a model's bytes become "?"."""

    def render(self, content: Any) -> bytes:
        return to_json(content)


async def json_answer(make: Callable[[], Any], size: int) -> Response:
    """What `make` returns, as PlainJSON writes it: both on another thread when it is long.

    size  about its bytes
    """
    if size <= INLINE_BYTES:
        return PlainJSON(make())
    body = await off_loop(lambda: long_json(make()), size)
    return Response(body, media_type="application/json")


TOKENIZING = 8  # times as long as reading the same bytes as JSON, at 10 MB/s


async def read_fields(request: Request, work: Callable[[], T], *, times: int = 1) -> T:
    """What `work` makes of a request's body: on another thread when that is long.

    times  how much longer it takes than reading the same bytes as JSON does
    """
    return await off_loop(work, times * request.scope.get(BODY_BYTES, 0))


async def lease_of(
    request: Request,
    model: str | None,
    keep_alive: float | None = None,
    *,
    timeout: float | None = None,
) -> Lease:
    """The model, loaded, for as long as the client waits for it. ClientGone, ApiError."""
    service, held = service_of(request), list[Lease]()
    if service.registry.is_ready(model):
        return await service.lease(model, keep_alive)

    async def wait() -> None:
        held.append(await service.lease(model, keep_alive, timeout=timeout))

    try:
        await while_connected(request.receive, wait())
    except BaseException:
        for lease in held:
            lease.release()
        raise
    return held[0]


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def caller_of(request: Request) -> Caller:
    """What edge/ and the log's middleware know of the request."""
    state = request.scope.get("state", {})
    return Caller(state.get("tenant"), state.get("request_id") or new_request_id())


def usage_body(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage`: counts of tokens."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def timings_body(usage: Usage) -> dict[str, Any]:
    """llama-server's `timings`."""
    read = usage.prompt_tokens - usage.cached_tokens
    return {
        "cache_n": usage.cached_tokens,
        "prompt_n": read,
        "prompt_ms": 1000 * usage.prompt_seconds,
        "prompt_per_second": _rate(read, usage.prompt_seconds),
        "predicted_n": usage.completion_tokens,
        "predicted_ms": 1000 * usage.generation_seconds,
        "predicted_per_second": _rate(usage.completion_tokens - 1, usage.generation_seconds),
    }


def _rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if seconds > 0 and tokens > 0 else None


def error_body(error: ApiError) -> dict[str, Any]:
    """An error as JSON, of a response and of an event in a stream."""
    return {
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.code,
            **error.details,
        }
    }


def error_response(error: ApiError) -> Response:
    """The same as a whole response, with the error's status and headers."""
    return PlainJSON(error_body(error), error.status_code, error.headers)


def prompt_progress(run: AnswerRun) -> dict[str, Any]:
    """How much of the prompt is read, in llama-server's words."""
    return {
        "total": run.prompt_tokens,
        "processed": run.read_tokens,
        "cache": run.cached_tokens,
    }


def progress_tick(run: AnswerRun) -> bytes:
    """A comment that keeps a silent stream open, and tells a person who looks why it is silent."""
    return comment(f"{run.read_tokens} of {run.prompt_tokens} prompt tokens read")
