"""From the body of a /v1/responses request to a conversation in no dialect."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Container, Mapping, Sequence
from typing import Any

from pyllm.errors import RequestError
from pyllm.sampling.params import SamplingParams
from pyllm.server.openai.responses_protocol import Content, Item, ResponsesRequest
from pyllm.server.openai.responses_tools import ResponseTools, ToolName
from pyllm.server.sampling import sampling_params
from pyllm.server.service import ChatJob
from pyllm.server.settings import ServerSettings
from pyllm.server.structure import Structure
from pyllm.server.template_fields import template_fields
from pyllm.server.turns import Turns

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_TEXTS = ("input_text", "output_text", "text", "reasoning_text", "summary_text")
_ITEMS = "must be message, reasoning, function_call or function_call_output"
_CUT = "is of a call that max_output_tokens cut off: go on without an output of it"
_SEALED = "pyllm:"

# Fields that are fields of SamplingParams by the same name.
_SAME_NAME = (
    "temperature", "top_p", "seed", "top_k", "min_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty",
)  # fmt: skip


def chat_job(
    body: ResponsesRequest,
    history: Sequence[Item],
    tools: ResponseTools,
    settings: ServerSettings,
    defaults: Mapping[str, Any],
) -> ChatJob:
    """Raises RequestError and ApiError.

    history   the items before those of the request
    defaults  of SamplingParams, where the request is silent
    """
    effort = body.reasoning.effort if body.reasoning is not None else None
    thinking, variables = template_fields(
        settings, None, body.chat_template_kwargs, body.enable_thinking, effort
    )
    return ChatJob(
        messages=messages_of(body.instructions, history, body.input),
        params=_params(body, defaults),
        tools=tools.functions,
        tool_choice=tools.choice,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        structure=_structure(body),
        thinking=thinking,
        template_variables=variables,
        priority=body.priority or 0,
        cache_salt=body.cache_salt,
        timeout=body.timeout,
    )


def messages_of(
    instructions: str | None, history: Sequence[Item], items: Sequence[Item]
) -> list[dict[str, Any]]:
    """In the shape of chat completions."""
    turns, cut = Turns(), _cut_calls((*history, *items))
    if instructions:
        turns.text("system", instructions)
    for index, item in enumerate(history):
        _add(turns, f"previous_response_id[{index}]", item, cut)
    for index, item in enumerate(items):
        _add(turns, f"input[{index}]", item, cut)
    messages = turns.messages
    if not messages:
        raise RequestError("input", None, "must hold some text")
    return messages


def wants_logprobs(body: ResponsesRequest) -> bool:
    """Whether `include` asks for those of the text's tokens."""
    return body.top_logprobs is not None or "message.output_text.logprobs" in (body.include or ())


def sealed(reasoning: str) -> str:
    """Reasoning for clients that only send back what they cannot read: `encrypted_content`."""
    return _SEALED + base64.b64encode(reasoning.encode("utf-8", "replace")).decode()


def _unsealed(text: str | None) -> str:
    """Nothing for what another service has sealed."""
    if text is None or not text.startswith(_SEALED):
        return ""
    try:
        return base64.b64decode(text.removeprefix(_SEALED), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _is_cut_call(item: Item) -> bool:
    """A call that max_output_tokens ended: it was never made, and the model does not read it."""
    return item.type == "function_call" and item.status == "incomplete"


def _cut_calls(items: Sequence[Item]) -> set[str | None]:
    """Ids under which no call was made."""
    calls = [item for item in items if item.type == "function_call"]
    made = {item.call_id for item in calls if not _is_cut_call(item)}
    return {item.call_id for item in calls} - made


def _add(turns: Turns, where: str, item: Item, cut: Container[str | None]) -> None:
    if item.type == "message":
        _add_message(turns, where, item)
    elif item.type == "reasoning":
        turns.reasoning(
            _joined(f"{where}.content", item.content)
            or _unsealed(item.encrypted_content)
            or _joined(f"{where}.summary", item.summary)
        )
    elif _is_cut_call(item):
        return
    elif item.type == "function_call":
        name = ToolName(_given(f"{where}.name", item.name), item.namespace).flat
        arguments = _arguments(f"{where}.arguments", item.arguments)
        turns.call(_given(f"{where}.call_id", item.call_id), name, arguments)
    elif item.type == "function_call_output":
        call_id = _given(f"{where}.call_id", item.call_id)
        if call_id in cut:
            raise RequestError(f"{where}.call_id", call_id, _CUT)
        turns.result(call_id, _joined(f"{where}.output", item.output))
    else:
        raise RequestError(f"{where}.type", item.type, _ITEMS)


def _add_message(turns: Turns, where: str, item: Item) -> None:
    role = _ROLES.get(item.role or "")
    if role is None:
        raise RequestError(f"{where}.role", item.role, f"must be one of {', '.join(_ROLES)}")
    for index, content in enumerate(item.content or ()):
        turns.text(role, _text(f"{where}.content[{index}]", content))


def _joined(where: str, contents: Sequence[Content] | None) -> str:
    return "".join(_text(f"{where}[{index}]", part) for index, part in enumerate(contents or ()))


def _text(where: str, content: Content) -> str:
    if content.type == "refusal":
        return _given(f"{where}.refusal", content.refusal)
    if content.type not in _TEXTS:
        raise RequestError(f"{where}.type", content.type, "must be text: nothing else can be read")
    return _given(f"{where}.text", content.text)


def _arguments(where: str, text: str | None) -> str:
    try:
        is_object = isinstance(json.loads(text or "{}"), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise RequestError(where, text, "must be the JSON of an object")
    return text or "{}"


def _given(where: str, value: str | None) -> str:
    if value is None:
        raise RequestError(where, None, "is missing")
    return value


def _params(body: ResponsesRequest, defaults: Mapping[str, Any]) -> SamplingParams:
    fields: dict[str, Any] = {name: getattr(body, name) for name in _SAME_NAME}
    fields["max_tokens"] = body.max_output_tokens
    if wants_logprobs(body):
        fields["logprobs"] = body.top_logprobs or 0
    # Log-probabilities belong to the text around them, so the answer is read piece by piece.
    pieces = bool(body.stream) or wants_logprobs(body)
    return sampling_params(fields, {"max_tokens": None, **defaults}, stream=pieces)


def _structure(body: ResponsesRequest) -> Structure | None:
    wanted = body.text.format if body.text is not None else None
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Structure("text.format", {"json_object": True})
    if wanted.schema_ is None:
        raise RequestError("text.format.schema", None, "is missing")
    return Structure("text.format", {"json": wanted.schema_})
