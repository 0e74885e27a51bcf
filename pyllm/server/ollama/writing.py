"""Parts of Ollama's responses that several routes share."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from pyllm.server.events import Usage

_NS = 10**9


def timestamp(seconds: float | None = None) -> str:
    """RFC 3339 in UTC, with microseconds, as Go writes it."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def counts(usage: Usage) -> dict[str, int]:
    """Tokens and nanoseconds. Ollama counts only prompt tokens that it computed; clients that
    show a total expect all of them.
    """
    parts = (
        usage.load_seconds,
        usage.queue_seconds,
        usage.prompt_seconds,
        usage.generation_seconds,
    )
    return {
        "total_duration": int(sum(parts) * _NS),
        "load_duration": int(usage.load_seconds * _NS),
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": int(usage.prompt_seconds * _NS),
        "eval_count": usage.completion_tokens,
        "eval_duration": int(usage.generation_seconds * _NS),
    }


def done_reason(finish_reason: str) -> str:
    """Ollama has two."""
    return "length" if finish_reason == "length" else "stop"


def tagged(name: str) -> str:
    """Names without a tag have this one."""
    return name if ":" in name else f"{name}:latest"


def head(model: str) -> dict[str, Any]:
    """What every object of an answer begins with."""
    return {"model": model, "created_at": timestamp()}
