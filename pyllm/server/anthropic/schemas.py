"""The bodies of Anthropic's responses, for the document at /docs; handlers write plain JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from pyllm.server.openai.schemas import EVENTS, Part
from pyllm.server.openai.schemas import refusals as openai_refusals


class ErrorDetail(BaseModel):
    type: str
    message: str


class Error(BaseModel):
    type: Literal["error"]
    error: ErrorDetail


class UsageCounts(Part):
    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int


class Message(Part):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str
    stop_sequence: str | None
    usage: UsageCounts


class TokenCount(BaseModel):
    input_tokens: int


def refusals(*, streams: bool) -> dict[int | str, dict[str, Any]]:
    """Responses besides the answer."""
    found = openai_refusals()
    for refusal in found.values():
        refusal["model"] = Error
    if streams:
        events = 'with `"stream": true`, events from `message_start` to `message_stop`'
        found[200] = {
            "content": EVENTS,
            "description": f"the answer; {events}",
        }
    return found
