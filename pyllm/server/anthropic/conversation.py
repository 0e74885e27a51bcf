"""From the body of an Anthropic request to a conversation in no dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyllm.errors import RequestError
from pyllm.sampling.params import SamplingParams
from pyllm.server.anthropic.protocol import Block, CountRequest, MessagesRequest, Tool, ToolChoice
from pyllm.server.sampling import sampling_params
from pyllm.server.service import ChatJob
from pyllm.server.settings import ServerSettings
from pyllm.server.structure import Structure
from pyllm.server.template_fields import template_fields
from pyllm.server.tool_fields import checked_tool
from pyllm.server.turns import Turns

# Claude Code's system prompt begins with a line for the service's books that is different in each
# request. The model has no use for it, and behind it no prefix could be found in the cache.
_BOOKKEEPING = "x-anthropic-billing-header:"

_KINDS = "must be text, tool_use, tool_result or thinking: nothing else can be read"
_ONLY_TEXT = "must be text: nothing else can be read here"


def chat_job(
    body: CountRequest,
    settings: ServerSettings,
    defaults: Mapping[str, Any],
    *,
    has_budget: bool,
    stream: bool,
) -> ChatJob:
    """Raises RequestError and ApiError.

    defaults    of SamplingParams, where the request is silent
    has_budget  the model's thinking can be limited; a budget means nothing to another, and clients
                send one to every model
    """
    choice = body.tool_choice or ToolChoice(type="auto")
    effort = body.output_config.effort if body.output_config is not None else None
    thinking, variables = template_fields(settings, None, None, _thinks(body), effort)
    return ChatJob(
        messages=messages_of(body),
        params=_params(body, defaults, has_budget=has_budget, stream=stream),
        tools=_tools(body.tools or ()),
        tool_choice=_tool_choice(choice, body.tools or ()),
        parallel_tool_calls=not choice.disable_parallel_tool_use,
        structure=_structure(body),
        thinking=thinking,
        template_variables=variables,
        continue_final_message=body.messages[-1].role == "assistant",
    )


def messages_of(body: CountRequest) -> list[dict[str, Any]]:
    """System prompt and messages in OpenAI's shape."""
    turns = Turns()
    for index, block in enumerate(body.system or ()):
        text = _text(f"system[{index}]", block)
        if text.startswith(_BOOKKEEPING):
            text = text.partition("\n")[2]
        if text:
            turns.text("system", text)
    for index, message in enumerate(body.messages):
        for number, block in enumerate(message.content):
            _add(turns, f"messages[{index}].content[{number}]", message.role, block)
    messages = turns.messages
    if not messages:
        raise RequestError("messages", None, "must hold some text")
    last = messages[-1]
    if last["role"] == "assistant" and "tool_calls" in last:
        limit = "is followed by no tool_result; end with one, or with text of the user"
        raise RequestError(f"messages[{len(body.messages) - 1}]", "tool_use", limit)
    return messages


def _add(turns: Turns, where: str, role: str, block: Block) -> None:
    if block.type == "text":
        turns.text(role, _text(where, block))
    elif block.type == "tool_use" and role == "assistant":
        name = _given(f"{where}.name", block.name)
        arguments = json.dumps(block.input or {}, ensure_ascii=False)
        turns.call(_given(f"{where}.id", block.id), name, arguments)
    elif block.type == "thinking" and role == "assistant":
        turns.reasoning(_given(f"{where}.thinking", block.thinking))
    elif block.type == "redacted_thinking" and role == "assistant":
        pass  # only the service that wrote it can read it
    elif block.type == "tool_result" and role == "user":
        turns.result(_given(f"{where}.tool_use_id", block.tool_use_id), _result(where, block))
    else:
        raise RequestError(f"{where}.type", block.type, _KINDS)


def _result(where: str, block: Block) -> str:
    """Templates know no failed results, so a failure is said in words."""
    texts = [
        _text(f"{where}.content[{index}]", part) for index, part in enumerate(block.content or ())
    ]
    text = "\n\n".join(texts)
    return f"Error: {text}" if block.is_error else text


def _text(where: str, block: Block) -> str:
    if block.type != "text":
        raise RequestError(f"{where}.type", block.type, _ONLY_TEXT)
    return _given(f"{where}.text", block.text)


def _given(where: str, value: str | None) -> str:
    if value is None:
        raise RequestError(where, None, "is missing")
    return value


def _thinks(body: CountRequest) -> bool | None:
    """A request that does not speak of thinking wants none, as Anthropic has it."""
    if body.thinking is None or body.thinking.type == "disabled":
        return False
    return True if body.thinking.type == "enabled" else None


def _params(
    body: CountRequest, defaults: Mapping[str, Any], *, has_budget: bool, stream: bool
) -> SamplingParams:
    if not isinstance(body, MessagesRequest):
        return SamplingParams()
    budget = body.thinking.budget_tokens if body.thinking is not None and has_budget else None
    given = {
        "max_tokens": body.max_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "seed": body.seed,
        "stop": body.stop_sequences,
        "thinking_token_budget": budget,
    }
    return sampling_params(given, defaults, stream=stream)


def _tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    taken: set[str] = set()
    return [_tool(f"tools[{index}]", tool, taken) for index, tool in enumerate(tools)]


def _tool(where: str, tool: Tool, taken: set[str]) -> dict[str, Any]:
    if tool.type not in (None, "custom"):
        limit = 'must be "custom": this server runs no tools and knows none of its own'
        raise RequestError(f"{where}.type", tool.type, limit)
    if tool.input_schema is None:
        raise RequestError(f"{where}.input_schema", None, "is missing")
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.input_schema  # in the order that models have seen in training
    if tool.strict is not None:
        function["strict"] = tool.strict
    return checked_tool(function, where, {"parameters": "input_schema"}, taken)


def _tool_choice(choice: ToolChoice, tools: Sequence[Tool]) -> str | dict[str, Any]:
    if choice.type in ("auto", "none"):
        return choice.type
    if not tools:
        raise RequestError("tool_choice.type", choice.type, "needs tools")
    if choice.type == "any":
        return "required"
    if choice.name not in {tool.name for tool in tools}:
        raise RequestError("tool_choice.name", choice.name, "must be one of tools")
    return {"type": "function", "function": {"name": choice.name}}


def _structure(body: CountRequest) -> Structure | None:
    wanted = body.output_config.format if body.output_config is not None else None
    if wanted is not None and body.output_format is not None:
        raise RequestError("output_format", "json_schema", "does not go with output_config.format")
    name = "output_config.format" if wanted is not None else "output_format"
    wanted = wanted or body.output_format
    return None if wanted is None else Structure(name, {"json": wanted.schema_})
