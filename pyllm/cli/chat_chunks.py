"""What one chunk of a streamed answer holds, whatever dialect of OpenAI's format the server speaks.

A field of another type than the format says is taken as absent: a server is not trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Piece", "ToolCalls", "Usage", "finish_reason", "pieces", "usage"]

MAX_TOOL_CALLS = 128


class Piece(NamedTuple):
    """Some text of the answer, or of the reasoning before it."""

    text: str
    is_reasoning: bool = False


class Usage(NamedTuple):
    """Tokens of one answer as the server counts them, None: not told."""

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None
    reasoning: int | None = None


def pieces(chunk: Mapping[str, Any]) -> Iterator[Piece]:
    """Reasoning first; `reasoning_content` is DeepSeek's name of it, `reasoning` vLLM's."""
    delta = _delta(chunk)
    # A server may send both for old and new clients: they are the same text.
    reasoning = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
    if reasoning:
        yield Piece(reasoning, is_reasoning=True)
    for name in ("content", "refusal"):
        if text := _text(delta.get(name)):
            yield Piece(text)


def finish_reason(chunk: Mapping[str, Any]) -> str | None:
    return _string(_choice(chunk).get("finish_reason"))


def usage(chunk: Mapping[str, Any]) -> Usage | None:
    """The counts, None in a chunk without them."""
    counts = chunk.get("usage")
    if not isinstance(counts, Mapping):
        return None
    prompt = _mapping(counts.get("prompt_tokens_details"))
    completion = _mapping(counts.get("completion_tokens_details"))
    return Usage(
        _count(counts.get("prompt_tokens")),
        _count(prompt.get("cached_tokens")),
        _count(counts.get("completion_tokens")),
        _count(completion.get("reasoning_tokens")),
    )


@dataclass
class ToolCalls:
    """Calls of functions, which come in parts: a name first, then the arguments bit by bit."""

    _names: dict[int, str] = field(default_factory=dict)
    _arguments: dict[int, list[str]] = field(default_factory=dict)

    def add(self, chunk: Mapping[str, Any]) -> None:
        parts = _delta(chunk).get("tool_calls")
        for position, part in enumerate(parts if isinstance(parts, list) else []):
            function = _mapping(_mapping(part).get("function"))
            index = _count(_mapping(part).get("index"))
            index = position if index is None else index
            if index not in self._names and len(self._names) >= MAX_TOOL_CALLS:
                return
            name = _text(function.get("name"))
            self._names[index] = self._names.get(index, "") or name
            self._arguments.setdefault(index, []).append(_text(function.get("arguments")))

    def lines(self) -> list[str]:
        """Each call as `name(arguments)`."""
        return [
            f"{name or '?'}({''.join(self._arguments[index])})"
            for index, name in sorted(self._names.items())
        ]


def _choice(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = chunk.get("choices")
    return _mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _delta(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(_choice(chunk).get("delta"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _text(value: object) -> str:
    """Text that can be sent back and written to a file: JSON may hold half a surrogate pair."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    return value if is_count and isinstance(value, int) else None
