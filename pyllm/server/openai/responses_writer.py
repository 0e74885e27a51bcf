"""An answer as /v1/responses has it: a list of items, whole or as server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from pyllm.sampling.params import SamplingParams
from pyllm.server.answer_parts import AnswerParts, Part, PartEnd, PartPiece, PartStart, Step
from pyllm.server.errors import ApiError
from pyllm.server.events import CallStart, ChoiceEnd, Event, Text, Tokens, Usage, logprobs_size
from pyllm.server.long_json import long_json
from pyllm.server.off_loop import INLINE_BYTES, off_loop
from pyllm.server.openai.responses_job import sealed, wants_logprobs
from pyllm.server.openai.responses_protocol import ResponsesRequest
from pyllm.server.openai.responses_tools import ResponseTools, ToolName
from pyllm.server.openai.text_logprobs import TextLogprobs
from pyllm.server.streams import event, to_json
from pyllm.tokenizer import Tokenizer

_PREFIXES = {"text": "msg", "reasoning": "rs", "call": "fc"}


class ResponseWriter:
    """One response.

    number  unguessable: ids of the response and its items are made of it
    params  what is in force, for the fields of the response that say so
    asked   bytes of the request, which the response repeats
    """

    def __init__(
        self,
        body: ResponsesRequest,
        number: str,
        model: str,
        tools: ResponseTools,
        params: SamplingParams,
        tokenizer: Tokenizer,
        asked: int = 0,
    ) -> None:
        self.answer = AnswerParts()
        self._asked = asked
        self._body = body
        self._number = number
        self._names: Mapping[str, ToolName] = tools.names
        self._tokens = (
            TextLogprobs(tokenizer, body.top_logprobs or 0) if wants_logprobs(body) else None
        )
        self._logprobs: dict[int, list[dict[str, Any]]] = {}  # of parts that are over
        self._is_whole: dict[int, bool] = {}
        self._sequence = 0
        wished = body.reasoning
        summary = wished and (wished.summary or wished.generate_summary)
        self._summarizes = summary is not None
        self._seals = "reasoning.encrypted_content" in (body.include or ())
        self._head: dict[str, Any] = {
            "id": f"resp_{number}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "max_tool_calls": body.max_tool_calls,
            "model": body.model or model,
            "output": [],
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": body.previous_response_id,
            "prompt_cache_key": body.prompt_cache_key,
            "reasoning": {"effort": wished and wished.effort, "summary": summary},
            "safety_identifier": body.safety_identifier,
            "service_tier": "default",
            "store": body.store is not False,
            "temperature": params.temperature,
            "text": _text_config(body),
            "tool_choice": _tool_choice(body),
            "tools": tools.shown,
            "top_logprobs": body.top_logprobs or 0,
            "top_p": params.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": body.user,
            "metadata": body.metadata or {},
        }

    def read(self, found: Event) -> list[dict[str, Any]]:
        """Events of the stream; all must be read before `whole`. ApiError when it failed."""
        if isinstance(found, Tokens) and found.logprobs is not None and self._tokens is not None:
            self._tokens.add(found.token_ids, found.logprobs)
        return [body for step in self.answer.read(found) for body in self._events(step)]

    @property
    def size(self) -> int:
        """About the bytes of the response's JSON so far: it repeats what was asked."""
        texts = sum(len(piece) for part in self.answer.parts for piece in part.pieces)
        return self._asked + texts + logprobs_size(self._tokens or (), self._body.top_logprobs or 0)

    def whole(self) -> dict[str, Any]:
        """The response, when everything is read."""
        assert self.answer.end is not None
        assert self.answer.usage is not None
        is_cut = self.answer.end.finish_reason == "length"
        return {
            **self._head,
            "status": "incomplete" if is_cut else "completed",
            "completed_at": None if is_cut else int(time.time()),
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "output": [self._item(part) for part in self.answer.parts],
            "usage": _usage(self.answer.usage),
        }

    async def stream(
        self, events: AsyncIterable[Event], keep: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> AsyncIterator[bytes]:
        """Server-sent events; `keep` gets the response before the client hears of its end."""
        for name in ("response.created", "response.in_progress"):
            first = partial(self._sent, name, self._asked, response=self._head)
            yield await off_loop(first, self._asked)
        try:
            async for found in events:
                size = self.size if self._ends_part(found) else 0
                for chunk in await off_loop(partial(self._written, found, size), size):
                    yield chunk
        except ApiError as error:
            failed = self._failed(error)
            yield self._sent("error", code=error.code, message=error.message, param=error.param)
            yield self._sent("response.failed", response=failed)
            return
        response = self.whole()
        await keep(response)
        last, size = f"response.{response['status']}", self.size
        yield await off_loop(partial(self._sent, last, size, response=response), size)

    def _ends_part(self, found: Event) -> bool:
        """All of a part is written again at its end: when another begins, or the answer ends."""
        if isinstance(found, Text):
            parts, kind = self.answer.parts, "reasoning" if found.reasoning else "text"
            return bool(parts) and parts[-1].kind != kind
        return isinstance(found, CallStart | ChoiceEnd)

    def _written(self, found: Event, size: int) -> list[bytes]:
        return [self._sent(size=size, **body) for body in self.read(found)]

    def _sent(self, type: str, size: int = 0, **fields: Any) -> bytes:
        body = {"type": type, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return event(body, type, to_json if size <= INLINE_BYTES else long_json)

    def _failed(self, error: ApiError) -> dict[str, Any]:
        code = "server_error" if error.status_code >= 500 else "invalid_prompt"
        output = [self._item(part) for part in self.answer.parts]
        failure = {"code": code, "message": error.message}
        return {**self._head, "status": "failed", "error": failure, "output": output}

    def _events(self, step: Step) -> list[dict[str, Any]]:
        match step:
            case PartStart(part):
                return self._start(part)
            case PartPiece(part, text):
                return [self._piece(part, text)]
            case PartEnd(part, whole):
                self._is_whole[part.number] = whole
                if self._tokens is not None:
                    self._logprobs[part.number] = self._tokens.of_part(part.text)
                return self._end(part)

    def _start(self, part: Part) -> list[dict[str, Any]]:
        item = self._item(Part(part.number, part.kind, part.call_id, part.name))
        item["status"] = "in_progress"
        for filled in ("content", "summary"):
            if filled in item:
                item[filled] = []
        added = {"type": "response.output_item.added", "output_index": part.number, "item": item}
        if part.kind == "call":
            return [added]
        opened = {**self._place(part), "part": self._content(part.kind, "", [])}
        return [added, {"type": f"response.{self._part_name(part)}.added", **opened}]

    def _piece(self, part: Part, text: str) -> dict[str, Any]:
        name = f"response.{self._text_name(part)}.delta"
        more = {"type": name, **self._place(part), "delta": text}
        new = [] if self._tokens is None else self._tokens.take_new()
        return {**more, "logprobs": new} if part.kind == "text" else more

    def _end(self, part: Part) -> list[dict[str, Any]]:
        text, place = part.text, self._place(part)
        item = {"output_index": part.number, "item": self._item(part)}
        done = {"type": "response.output_item.done", **item}
        said = {"type": f"response.{self._text_name(part)}.done", **place}
        if part.kind == "call":
            return [{**said, "name": self._name(part).name, "arguments": text}, done]
        logprobs = self._logprobs.get(part.number, [])
        said["text"] = text
        if part.kind == "text":
            said["logprobs"] = logprobs
        content = self._content(part.kind, text, logprobs)
        closed = {"type": f"response.{self._part_name(part)}.done", **place, "part": content}
        return [said, closed, done]

    def _place(self, part: Part) -> dict[str, Any]:
        place = {"item_id": self._id(part), "output_index": part.number}
        if part.kind == "call":
            return place
        index = "summary_index" if self._is_summary(part) else "content_index"
        return {**place, index: 0}

    def _part_name(self, part: Part) -> str:
        return "reasoning_summary_part" if self._is_summary(part) else "content_part"

    def _text_name(self, part: Part) -> str:
        if part.kind == "call":
            return "function_call_arguments"
        if part.kind == "text":
            return "output_text"
        return "reasoning_summary_text" if self._is_summary(part) else "reasoning_text"

    def _is_summary(self, part: Part) -> bool:
        return part.kind == "reasoning" and self._summarizes

    def _content(self, kind: str, text: str, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
        if kind == "text":
            return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}
        return {"type": "summary_text" if self._summarizes else "reasoning_text", "text": text}

    def _item(self, part: Part) -> dict[str, Any]:
        text, is_whole = part.text, self._is_whole.get(part.number, False)
        head = {"id": self._id(part), "status": "completed" if is_whole else "incomplete"}
        if part.kind == "call":
            name = self._name(part)
            call = {"type": "function_call", "call_id": part.call_id, "name": name.name}
            if name.namespace is not None:
                call["namespace"] = name.namespace
            return {**head, **call, "arguments": text}
        content = [self._content(part.kind, text, self._logprobs.get(part.number, []))]
        if part.kind == "text":
            return {**head, "type": "message", "role": "assistant", "content": content}
        item: dict[str, Any] = {**head, "type": "reasoning", "summary": [], "content": []}
        item["summary" if self._summarizes else "content"] = content
        if self._seals:
            item["encrypted_content"] = sealed(text)
        return item

    def _id(self, part: Part) -> str:
        return f"{_PREFIXES[part.kind]}_{self._number}_{part.number}"

    def _name(self, part: Part) -> ToolName:
        return self._names.get(part.name) or ToolName(part.name)


def _text_config(body: ResponsesRequest) -> dict[str, Any]:
    wanted = body.text and body.text.format
    if wanted is None:
        return {"format": {"type": "text"}}
    return {"format": wanted.model_dump(by_alias=True, exclude_none=True)}


def _tool_choice(body: ResponsesRequest) -> str | dict[str, Any]:
    choice = body.tool_choice
    if choice is None:
        return "auto"
    if choice.type in ("auto", "none", "required"):
        return choice.type
    return choice.model_dump(exclude_none=True)


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
