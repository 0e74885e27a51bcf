"""The bodies of /v1/responses, for the document at /docs; handlers write plain JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from pyllm.server.openai.schemas import Part


class ResponseObject(Part):
    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None


class ItemList(BaseModel):
    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(BaseModel):
    id: str
    object: Literal["response"]
    deleted: Literal[True]


class TokenCount(BaseModel):
    object: Literal["response.input_tokens"]
    input_tokens: int
