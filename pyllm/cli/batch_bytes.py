"""Answers without what differs from run to run, so that equal runs write equal bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pyllm.server.streams import to_json

__all__ = ["Counts", "reproducible"]

_TIMES = ("created", "created_at", "completed_at")


@dataclass
class Counts:
    """Tokens of one answer."""

    read: int = 0
    written: int = 0


def reproducible(body: bytes, number: str) -> tuple[bytes, Counts]:
    """The same answer with every time 0, without durations and what was found in a cache.

    number  stands for the random one that a response's ids are made of
    """
    answer: dict[str, Any] = json.loads(body)
    answer.pop("timings", None)
    for name in _TIMES:
        if answer.get(name) is not None:
            answer[name] = 0
    usage = answer.get("usage") or {}
    usage.pop("prompt_tokens_details", None)
    details = usage.get("input_tokens_details")
    if details is not None:
        details["cached_tokens"] = 0
    read = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    counts = Counts(read, usage.get("completion_tokens", usage.get("output_tokens", 0)))
    written = to_json(answer)
    if answer.get("object") == "response":
        drawn = str(answer["id"]).rpartition("_")[2]
        written = written.replace(drawn.encode(), number.encode())
    return written, counts
