"""The bodies of llama-server's requests; where vLLM has the same route, both shapes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr

from pyllm.server.openai.protocol import (
    MAX_MESSAGES,
    MAX_TOOLS,
    Body,
    ChatMessage,
    SamplingBody,
    Tool,
)

Tokens = Annotated[list[StrictInt], Field(fail_fast=True, max_length=2**20)]
Messages = Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS)]


class TokenizeRequest(Body):
    model: StrictStr | None = None
    content: StrictStr | None = Field(None, description="llama-server's: special tokens are read")
    add_special: StrictBool = False
    parse_special: StrictBool = True
    with_pieces: StrictBool = False

    prompt: StrictStr | None = Field(None, description="vLLM's, instead of content")
    messages: Messages | None = Field(None, description="vLLM's, instead of content")
    tools: Tools | None = None
    add_generation_prompt: StrictBool = True
    add_special_tokens: StrictBool | None = None
    return_token_strs: StrictBool = False
    chat_template_kwargs: dict[str, Any] | None = None


class DetokenizeRequest(Body):
    model: StrictStr | None = None
    tokens: Tokens


class ApplyTemplateRequest(Body):
    model: StrictStr | None = None
    messages: Messages
    tools: Tools | None = None
    add_generation_prompt: StrictBool = True
    enable_thinking: StrictBool | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class CompletionRequest(SamplingBody):
    """llama-server's /completion: its names beside OpenAI's."""

    prompt: StrictStr | Tokens
    n_predict: StrictInt | None = Field(None, ge=-1, description="-1: no limit")
    n_probs: StrictInt | None = Field(None, ge=0, le=20)
    return_tokens: StrictBool | None = Field(None, description="no effect: they are always there")
    id_slot: StrictInt | None = Field(None, description="no effect: there are no slots")
    response_fields: list[StrictStr] | None = Field(None, description="no effect: all are sent")
    n_keep: StrictInt | None = Field(None, description="no effect: nothing is cut off")
    post_sampling_probs: None = None


class ExtraFile(Body):
    """A piece of another file; editors add what only they need to know."""

    model_config = ConfigDict(extra="ignore")

    filename: StrictStr
    text: StrictStr


class InfillRequest(CompletionRequest):
    prompt: StrictStr = Field("", description="text behind input_prefix")
    input_prefix: StrictStr
    input_suffix: StrictStr
    input_extra: Annotated[list[ExtraFile], Field(max_length=64)] = Field(default_factory=list)
    n_indent: StrictInt | None = Field(None, description="no effect")
    t_max_predict_ms: StrictInt | None = Field(None, description="no effect")
    t_max_prompt_ms: StrictInt | None = Field(None, description="no effect")
