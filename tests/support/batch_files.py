"""Batch files for tests, and the small jobs in them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")


def chat_line(custom_id: str, question: str = "What is 3 + 4?", **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    whole = {"messages": messages, "temperature": 0, **body}
    return line(custom_id, "/v1/chat/completions", whole)


def text_line(custom_id: str, prompt: str = "Once upon", **body: Any) -> dict[str, Any]:
    whole = {"prompt": prompt, "temperature": 0, "max_tokens": 8, **body}
    return line(custom_id, "/v1/completions", whole)


def line(custom_id: str, url: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def jsonl(*lines: dict[str, Any] | str) -> bytes:
    """Texts are lines as they are."""
    texts = [found if isinstance(found, str) else json.dumps(found) for found in lines]
    return "".join(f"{text}\n" for text in texts).encode()


def read(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(text) for text in data.splitlines()]


def until(ask: Callable[[], Found], is_so: Callable[[Found], object], seconds: float = 60) -> Found:
    """Asks again and again; fails when it does not become so."""
    deadline = time.monotonic() + seconds
    while not is_so(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found
