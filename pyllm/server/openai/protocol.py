"""The bodies of OpenAI's requests, with the further fields of vLLM and llama-server by name.

A field that is not here is refused: a client that misspells one should hear of it. Fields that
mean something to OpenAI's own service only are accepted, and listed as having no effect.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pyllm.sampling.params import MAX_LOGPROBS, MAX_N

MAX_MESSAGES = 4096
MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_TOOLS = 128
MAX_PROMPTS = 256  # of one completion request
MAX_BIASES = 1024
_MAX_ERRORS = 100

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
StopText = Annotated[StrictStr, Field(max_length=MAX_STOP_CHARS)]
Stops = StopText | Annotated[list[StopText], Field(max_length=MAX_STOPS)]


class Body(BaseModel):
    """Of any request."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _few_errors(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """A body may be wrong a million times; each costs memory, and only one is told."""
        try:
            return handler(value)
        except ValidationError as error:
            if error.error_count() > _MAX_ERRORS:
                limit = f"more than {_MAX_ERRORS} values are wrong"
                raise PydanticCustomError("too_many_errors", limit) from None
            raise


class StreamOptions(Body):
    include_usage: StrictBool = False
    continuous_usage_stats: StrictBool = Field(
        False, description="no effect: usage comes at the end"
    )
    include_obfuscation: StrictBool = Field(False, description="no effect: there is none")


class SamplingBody(Body):
    """Fields of every request that generates: OpenAI's, vLLM's, then llama-server's."""

    model: StrictStr | None = Field(None, max_length=256, description="default: the first model")
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: StrictInt | None = Field(None, ge=1)
    temperature: Number | None = None
    top_p: Number | None = None
    n: StrictInt | None = Field(None, ge=1, le=MAX_N)
    stop: Stops | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    logit_bias: Annotated[dict[str, Number], Field(max_length=MAX_BIASES)] | None = None
    seed: StrictInt | None = Field(None, ge=-(2**63), le=2**64 - 1)
    user: StrictStr | None = Field(None, description="no effect")

    top_k: StrictInt | None = None
    min_p: Number | None = None
    repetition_penalty: Number | None = None
    stop_token_ids: Annotated[list[StrictInt], Field(fail_fast=True, max_length=1024)] | None = None
    include_stop_str_in_output: StrictBool | None = None
    ignore_eos: StrictBool | None = None
    min_tokens: StrictInt | None = None
    skip_special_tokens: StrictBool | None = None
    spaces_between_special_tokens: StrictBool | None = None
    truncate_prompt_tokens: StrictInt | None = None
    prompt_logprobs: StrictInt | None = Field(None, ge=0, le=MAX_LOGPROBS)
    allowed_token_ids: (
        Annotated[list[StrictInt], Field(fail_fast=True, max_length=262_144)] | None
    ) = None
    bad_words: Annotated[list[StrictStr], Field(max_length=1024)] | None = None
    structured_outputs: dict[str, Any] | None = None
    guided_json: dict[str, Any] | StrictStr | None = None
    guided_regex: StrictStr | None = None
    guided_choice: list[StrictStr] | None = None
    guided_grammar: StrictStr | None = None
    priority: StrictInt | None = Field(None, ge=-(2**31), le=2**31 - 1)
    cache_salt: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None
    return_token_ids: StrictBool | None = None
    thinking_token_budget: StrictInt | None = None

    repeat_penalty: Number | None = None
    repeat_last_n: StrictInt | None = None
    typical_p: Number | None = None
    top_n_sigma: Number | None = None
    dynatemp_range: Number | None = None
    dynatemp_exponent: Number | None = None
    mirostat: StrictInt | None = None
    mirostat_tau: Number | None = None
    mirostat_eta: Number | None = None
    dry_multiplier: Number | None = None
    dry_base: Number | None = None
    dry_allowed_length: StrictInt | None = None
    dry_penalty_last_n: StrictInt | None = None
    dry_sequence_breakers: list[StrictStr] | None = None
    xtc_probability: Number | None = None
    xtc_threshold: Number | None = None
    samplers: list[StrictStr] | None = None
    min_keep: StrictInt | None = None
    grammar: StrictStr | None = None
    json_schema: dict[str, Any] | None = None
    return_progress: StrictBool | None = None
    timings_per_token: StrictBool | None = Field(
        None, description="no effect: timings come at the end"
    )
    cache_prompt: StrictBool | None = Field(None, description="no effect: the cache is always on")
    timeout: Number | None = Field(None, gt=0, description="seconds this request may take")


class FunctionCall(Body):
    name: StrictStr
    arguments: StrictStr | dict[str, Any] = ""


class ToolCall(Body):
    id: StrictStr = ""
    type: Literal["function"] = "function"
    function: FunctionCall
    index: StrictInt | None = None


class ContentPart(BaseModel):
    """Text; anything else is refused by its type when the message is rendered."""

    model_config = ConfigDict(extra="allow")

    type: StrictStr
    text: StrictStr | None = None


class ChatMessage(Body):
    role: StrictStr = Field(max_length=64)
    content: StrictStr | list[ContentPart] | None = None
    name: StrictStr | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=MAX_TOOLS)] | None = None
    tool_call_id: StrictStr | None = None
    reasoning_content: StrictStr | None = None
    reasoning: StrictStr | None = None
    refusal: StrictStr | None = None
    annotations: list[Any] | None = Field(None, description="no effect")
    audio: None = None
    function_call: None = None


class ToolFunction(Body):
    name: StrictStr = Field(min_length=1, max_length=64)
    description: StrictStr | None = None
    parameters: dict[str, Any] | None = None
    strict: StrictBool | None = None


class Tool(Body):
    type: Literal["function"] = "function"
    function: ToolFunction


class NamedFunction(Body):
    name: StrictStr


class NamedTool(Body):
    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Body):
    name: StrictStr = "answer"
    description: StrictStr | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: StrictBool | None = None


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema", "structural_tag"]
    json_schema: JsonSchema | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    structures: list[Any] | None = None
    triggers: list[StrictStr] | None = None


class ChatRequest(SamplingBody):
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: StrictInt | None = Field(None, ge=1)
    logprobs: StrictBool | None = None
    top_logprobs: StrictInt | None = Field(None, ge=0, le=MAX_LOGPROBS)
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: StrictBool | None = None
    reasoning_effort: StrictStr | None = Field(None, max_length=16)
    include_reasoning: StrictBool | None = None
    enable_thinking: StrictBool | None = None
    chat_template: StrictStr | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: StrictBool | None = None
    continue_final_message: StrictBool | None = None
    echo: StrictBool | None = None

    store: StrictBool | None = Field(None, description="no effect: nothing is stored")
    metadata: dict[str, Any] | None = Field(None, description="no effect")
    service_tier: StrictStr | None = Field(None, description="no effect")
    safety_identifier: StrictStr | None = Field(None, description="no effect")
    prompt_cache_key: StrictStr | None = Field(None, description="no effect")
    prompt_cache_retention: StrictStr | None = Field(None, description="no effect")
    modalities: list[Literal["text"]] | None = Field(None, description='only "text"')
    verbosity: StrictStr | None = Field(None, description="no effect")


class CompletionRequest(SamplingBody):
    prompt: (
        StrictStr
        | Annotated[list[StrictInt], Field(fail_fast=True, min_length=1)]
        | Annotated[list[StrictStr], Field(fail_fast=True, min_length=1, max_length=MAX_PROMPTS)]
        | Annotated[
            list[Annotated[list[StrictInt], Field(fail_fast=True)]],
            Field(fail_fast=True, min_length=1, max_length=MAX_PROMPTS),
        ]
    )
    suffix: StrictStr | None = None
    echo: StrictBool | None = None
    logprobs: StrictInt | None = Field(None, ge=0, le=MAX_LOGPROBS)
    best_of: StrictInt | None = Field(None, ge=1, le=MAX_N)
    add_special_tokens: StrictBool | None = None
    response_format: ResponseFormat | None = None
