"""The bodies of /v1/responses.

A field that is not here is refused. Items of the conversation and tools may have further fields,
which are ignored: clients send items back as some service wrote them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from pyllm.sampling.params import MAX_LOGPROBS
from pyllm.server.openai.protocol import (
    MAX_MESSAGES,
    MAX_TOOLS,
    Body,
    Number,
    StreamOptions,
)

_NO_EFFECT = "no effect"


class Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Content(Lenient):
    """Text; anything else is refused by its type: see responses_job.py."""

    type: StrictStr = Field(max_length=64)
    text: StrictStr | None = None
    refusal: StrictStr | None = None


def _as_contents(content: Any) -> Any:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


Contents = Annotated[
    list[Content], BeforeValidator(_as_contents, json_schema_input_type=str | list[Content])
]


class Item(Lenient):
    """One of a conversation; which fields it needs depends on its type."""

    type: StrictStr = Field("message", max_length=64)
    id: StrictStr | None = None
    status: StrictStr | None = Field(
        None, max_length=64, description="of a function_call: an incomplete one was never made"
    )
    role: StrictStr | None = Field(None, max_length=64)
    content: Contents | None = None
    call_id: StrictStr | None = None
    name: StrictStr | None = None
    namespace: StrictStr | None = None
    arguments: StrictStr | None = None
    output: Contents | None = None
    summary: list[Content] | None = None
    encrypted_content: StrictStr | None = None


def _as_items(items: Any) -> Any:
    if isinstance(items, str):
        return [{"type": "message", "role": "user", "content": items}]
    return items


Items = Annotated[
    list[Item],
    Field(max_length=MAX_MESSAGES),
    BeforeValidator(_as_items, json_schema_input_type=str | list[Item]),
]


class Tool(Lenient):
    """A function, or a namespace of functions; the fields are those of OpenAI's."""

    type: StrictStr = Field(max_length=64)
    name: StrictStr | None = Field(None, min_length=1, max_length=128)
    description: StrictStr | None = None
    parameters: dict[str, Any] | None = None
    strict: StrictBool | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None


class ToolChoice(Lenient):
    type: StrictStr = Field(max_length=64)
    name: StrictStr | None = None
    mode: Literal["auto", "required"] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=MAX_TOOLS)] | None = None


def _as_choice(choice: Any) -> Any:
    return {"type": choice} if isinstance(choice, str) else choice


Choice = Annotated[ToolChoice, BeforeValidator(_as_choice, json_schema_input_type=str | ToolChoice)]


class TextFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    name: StrictStr | None = None
    description: StrictStr | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: StrictBool | None = None


class TextConfig(Body):
    format: TextFormat | None = None
    verbosity: StrictStr | None = Field(None, description=_NO_EFFECT)


class Reasoning(Body):
    effort: StrictStr | None = Field(None, max_length=16)
    summary: StrictStr | None = Field(
        None, max_length=16, description="any: the reasoning is given as its own summary, whole"
    )
    generate_summary: StrictStr | None = Field(None, max_length=16, description="older: summary")
    context: StrictStr | None = Field(None, description=_NO_EFFECT)
    mode: StrictStr | None = Field(None, description=_NO_EFFECT)


class ResponsesRequest(Body):
    model: StrictStr | None = Field(None, max_length=256, description="default: the first model")
    input: Items = Field(default_factory=list)
    instructions: StrictStr | None = None
    previous_response_id: StrictStr | None = Field(None, max_length=128)
    store: StrictBool | None = Field(None, description="default: true, in memory")
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: StrictBool | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: StrictInt | None = Field(None, ge=1)
    temperature: Number | None = None
    top_p: Number | None = None
    top_logprobs: StrictInt | None = Field(None, ge=0, le=MAX_LOGPROBS)
    include: list[StrictStr] | None = None
    metadata: Annotated[dict[str, StrictStr], Field(max_length=16)] | None = None
    truncation: Literal["disabled"] | None = Field(
        None, description="nothing is ever cut off: a prompt that is too long is refused"
    )

    seed: StrictInt | None = Field(None, ge=-(2**63), le=2**64 - 1, description="vLLM's own")
    top_k: StrictInt | None = None
    min_p: Number | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    repetition_penalty: Number | None = None
    enable_thinking: StrictBool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    priority: StrictInt | None = Field(None, ge=-(2**31), le=2**31 - 1)
    cache_salt: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None
    timeout: Number | None = Field(None, gt=0, description="seconds this request may take")

    background: Literal[False] | None = Field(None, description="refused: see /v1/batches")
    conversation: None = Field(None, description="refused: use previous_response_id")
    prompt: None = Field(None, description="refused: this server keeps no prompts")
    max_tool_calls: StrictInt | None = Field(None, description="no effect: it calls no tools")
    context_management: list[Any] | None = Field(
        None, description="no effect: the model reads all of the context"
    )
    user: StrictStr | None = Field(None, description=_NO_EFFECT)
    safety_identifier: StrictStr | None = Field(None, description=_NO_EFFECT)
    prompt_cache_key: StrictStr | None = Field(None, description=_NO_EFFECT)
    prompt_cache_options: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
    prompt_cache_retention: StrictStr | None = Field(None, description=_NO_EFFECT)
    service_tier: StrictStr | None = Field(None, description=_NO_EFFECT)
    client_metadata: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
    access_programs: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
    moderation: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
    image: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
