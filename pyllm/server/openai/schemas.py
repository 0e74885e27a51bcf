"""The bodies of OpenAI's responses, for the document at /docs; handlers write plain JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class ErrorDetail(Part):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(BaseModel):
    error: ErrorDetail


class UsageCounts(Part):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatChoice(Part):
    index: int
    message: dict[str, Any]
    logprobs: dict[str, Any] | None
    finish_reason: str


class ChatCompletion(Part):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageCounts


class TextChoice(Part):
    index: int
    text: str
    logprobs: dict[str, Any] | None
    finish_reason: str


class Completion(Part):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageCounts


class ModelEntry(Part):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelEntry]


class FileEntry(Part):
    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str


class Page(Part):
    object: Literal["list"]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileList(Page):
    data: list[FileEntry]


class DeletedFile(Part):
    id: str
    object: Literal["file"]
    deleted: bool


class RequestCounts(Part):
    total: int
    completed: int
    failed: int


class BatchEntry(Part):
    id: str
    object: Literal["batch"]
    endpoint: str
    input_file_id: str
    completion_window: str
    status: str
    created_at: int
    request_counts: RequestCounts


class BatchList(Page):
    data: list[BatchEntry]


# No schema: before OpenAPI 3.2 some programs apply it to the stream, and some to each event.
EVENTS: dict[str, Any] = {"text/event-stream": {}}


def refusals(stream: str | None = None) -> dict[int | str, dict[str, Any]]:
    """Responses besides the answer; `stream` names the object of a streamed answer's events."""
    refused: dict[int | str, dict[str, Any]] = {
        status: {"model": Error, "description": description}
        for status, description in {
            400: "a field that cannot be honoured; `param` names it",
            401: "no key, or a wrong one",
            403: "a Host or Origin that is not allowed",
            404: "no such model or object",
            413: "the body is too large",
            415: "the body is not JSON",
            422: "the chat template fails",
            429: "too many requests wait; Retry-After says when to come again",
            500: "a failure that is not the request's fault",
            503: "the server is loading or shutting down",
            504: "the request took longer than it may",
        }.items()
    }
    if stream is not None:
        events = f'with `"stream": true`, events whose data are `{stream}` objects'
        refused[200] = {"content": EVENTS}
        refused[200]["description"] = f"the answer; {events}, then `[DONE]`"
    return refused
