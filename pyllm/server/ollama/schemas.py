"""What Ollama's routes answer besides the answer itself, for the document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pyllm.server.openai.schemas import refusals as openai_refusals


class Error(BaseModel):
    error: str


def refusals(*, streams: bool = False) -> dict[int | str, dict[str, Any]]:
    """The same statuses as OpenAI's routes, in Ollama's words; `streams`: lines unless refused."""
    found = {status: {**row, "model": Error} for status, row in openai_refusals().items()}
    if streams:
        found[200] = {
            "content": {"application/x-ndjson": {}},
            "description": 'the answer; lines of JSON unless `"stream": false`',
        }
    return found
