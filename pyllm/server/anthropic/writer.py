"""An answer in Anthropic's words: a message of blocks, whole or as server-sent events."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from pyllm.server.answer_parts import AnswerParts, Part, PartEnd, PartPiece, PartStart, Step
from pyllm.server.anthropic.errors import error_body
from pyllm.server.errors import ApiError
from pyllm.server.events import Event, Usage
from pyllm.server.streams import event
from pyllm.server.tool_fields import parsed_arguments

PING = event({"type": "ping"}, "ping")


class MessageWriter:
    """One message.

    prompt_tokens   of the whole prompt, before it is known how many of them were cached
    max_tokens      that were asked for: fewer can be written when the context ends before
    shows_thinking  whether the text of thinking blocks is sent
    """

    def __init__(
        self,
        model: str,
        request_id: str,
        *,
        prompt_tokens: int,
        max_tokens: int,
        shows_thinking: bool = True,
    ) -> None:
        self.answer = AnswerParts()
        self._max_tokens = max_tokens
        self._shows_thinking = shows_thinking
        self._prompt_tokens = prompt_tokens
        self._head: dict[str, Any] = {
            "id": f"msg_{request_id}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def whole(self) -> dict[str, Any]:
        """The message, when `answer` has read everything."""
        assert self.answer.usage is not None
        content = [self._block(part) for part in self.answer.parts]
        usage = _usage(self.answer.usage)
        return {**self._head, "content": content, **self._end(), "usage": usage}

    async def stream(self, events: AsyncIterable[Event]) -> AsyncIterator[bytes]:
        """Server-sent events; an error in the middle is the last of them."""
        yield _sent(
            {"type": "message_start", "message": {**self._head, "usage": self._usage_before()}}
        )
        try:
            async for found in events:
                for step in self.answer.read(found):
                    for body in self._events(step):
                        yield _sent(body)
        except ApiError as error:
            yield _sent(error_body(error))
            return
        assert self.answer.usage is not None
        usage = _usage(self.answer.usage)
        yield _sent({"type": "message_delta", "delta": self._end(), "usage": usage})
        yield _sent({"type": "message_stop"})

    def _usage_before(self) -> dict[str, Any]:
        return _usage(Usage(self._prompt_tokens, 0, 0))

    def _events(self, step: Step) -> list[dict[str, Any]]:
        index = step.part.number
        match step:
            case PartStart(part):
                start = {"type": "content_block_start", "index": index}
                return [{**start, "content_block": _empty_block(part)}]
            case PartPiece(part, text):
                return [_delta(index, delta) for delta in self._deltas(part, text)]
            case PartEnd(part):
                signed = [_delta(index, _signature_delta(part))] if part.kind == "reasoning" else []
                return [*signed, {"type": "content_block_stop", "index": index}]

    def _deltas(self, part: Part, text: str) -> list[dict[str, Any]]:
        if part.kind == "call":
            return [{"type": "input_json_delta", "partial_json": text}]
        if part.kind == "text":
            return [{"type": "text_delta", "text": text}]
        return [{"type": "thinking_delta", "thinking": text}] if self._shows_thinking else []

    def _block(self, part: Part) -> dict[str, Any]:
        if part.kind == "text":
            return {"type": "text", "text": part.text}
        if part.kind == "call":
            arguments = parsed_arguments(part.text)
            return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": arguments}
        thinking = part.text if self._shows_thinking else ""
        return {"type": "thinking", "thinking": thinking, "signature": _signature(part)}

    def _end(self) -> dict[str, Any]:
        end, usage = self.answer.end, self.answer.usage
        assert end is not None
        assert usage is not None
        reason, sequence = "end_turn", None
        if end.finish_reason == "tool_calls":
            reason = "tool_use"
        elif end.finish_reason == "length":
            is_full = usage.completion_tokens < self._max_tokens
            reason = "model_context_window_exceeded" if is_full else "max_tokens"
        elif isinstance(end.stop_reason, str):
            reason, sequence = "stop_sequence", end.stop_reason
        return {"stop_reason": reason, "stop_sequence": sequence}


def _empty_block(part: Part) -> dict[str, Any]:
    if part.kind == "text":
        return {"type": "text", "text": ""}
    if part.kind == "call":
        return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": {}}
    return {"type": "thinking", "thinking": "", "signature": ""}


def _sent(body: dict[str, Any]) -> bytes:
    return event(body, body["type"])


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _signature_delta(part: Part) -> dict[str, Any]:
    return {"type": "signature_delta", "signature": _signature(part)}


def _signature(part: Part) -> str:
    """Clients insist on one and send it back; here nothing hangs on it."""
    return hashlib.sha256(part.text.encode("utf-8", "replace")).hexdigest()


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard",
    }
