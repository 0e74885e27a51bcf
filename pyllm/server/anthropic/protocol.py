"""The bodies of Anthropic's requests.

A field that is not here is refused. What clients send back as a service wrote it, or add for one
service's use (blocks of messages, definitions of tools), may have further fields: they are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from pyllm.server.openai.protocol import (
    MAX_MESSAGES,
    MAX_STOP_CHARS,
    MAX_STOPS,
    MAX_TOOLS,
    Body,
    Number,
)

_NO_EFFECT = "no effect"


class Lenient(BaseModel):
    """Its further fields are ignored, `cache_control` among them: prefixes are always cached."""

    model_config = ConfigDict(extra="ignore")


def _as_blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class Block(Lenient):
    """One of a message; which fields it needs depends on its type: see conversation.py."""

    type: StrictStr = Field(max_length=64)
    text: StrictStr | None = None
    thinking: StrictStr | None = None
    id: StrictStr | None = None
    name: StrictStr | None = None
    input: dict[str, Any] | None = None
    tool_use_id: StrictStr | None = None
    content: Blocks | None = None
    is_error: StrictBool | None = None


Blocks = Annotated[list[Block], BeforeValidator(_as_blocks, json_schema_input_type=str | list[Any])]


class Message(Body):
    role: Literal["user", "assistant", "system"]
    content: Blocks


class Tool(Lenient):
    type: StrictStr | None = Field(None, max_length=64, description='only "custom"')
    name: StrictStr = Field(min_length=1, max_length=64)
    description: StrictStr | None = None
    input_schema: dict[str, Any] | None = None
    strict: StrictBool | None = None


class ToolChoice(Body):
    type: Literal["auto", "any", "tool", "none"]
    name: StrictStr | None = None
    disable_parallel_tool_use: StrictBool = False


class Thinking(Lenient):
    """adaptive, between_tools: as the model's template has it."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: StrictInt | None = Field(None, ge=1)
    display: Literal["summarized", "omitted", "updates"] | None = Field(
        None, description="omitted: thinking blocks are empty; otherwise whole"
    )


class OutputFormat(Body):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(Body):
    effort: StrictStr | None = Field(None, max_length=16)
    format: OutputFormat | None = None
    task_budget: dict[str, Any] | None = Field(None, description=_NO_EFFECT)


class CountRequest(Body):
    """Everything that the number of a prompt's tokens depends on."""

    model: StrictStr | None = Field(None, max_length=256, description="default: the first model")
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    system: Blocks | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = Field(None, description="older: output_config.format")

    mcp_servers: Annotated[list[Any], Field(max_length=0)] | None = Field(
        None, description="no servers: this one connects to none"
    )
    betas: list[StrictStr] | None = Field(None, description=_NO_EFFECT)
    cache_control: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
    context_management: dict[str, Any] | None = Field(
        None, description="no effect: the model reads all of the context"
    )
    speed: StrictStr | None = Field(None, description=_NO_EFFECT)
    billing_policy: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
    user_profile_id: StrictStr | None = Field(None, description=_NO_EFFECT)
    workspace_id: StrictStr | None = Field(None, description=_NO_EFFECT)


_Stop = Annotated[StrictStr, Field(min_length=1, max_length=MAX_STOP_CHARS)]


class MessagesRequest(CountRequest):
    """POST /v1/messages: what /v1/messages/count_tokens takes, and how the answer is written."""

    max_tokens: StrictInt = Field(ge=1)
    stream: StrictBool | None = None
    stop_sequences: Annotated[list[_Stop], Field(max_length=MAX_STOPS)] | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: StrictInt | None = None
    seed: StrictInt | None = Field(None, ge=-(2**63), le=2**64 - 1, description="pyllm's own")

    container: None = Field(None, description="this server runs no code")
    metadata: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
    service_tier: StrictStr | None = Field(None, description=_NO_EFFECT)
    inference_geo: StrictStr | None = Field(None, description=_NO_EFFECT)
    diagnostics: dict[str, Any] | None = Field(None, description=_NO_EFFECT)
    fallbacks: list[Any] | None = Field(None, description=_NO_EFFECT)
