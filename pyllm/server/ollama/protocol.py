"""The bodies of Ollama's requests. Options of loading a model are the server's to set."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
)

from pyllm.server.openai.pooling_protocol import MAX_INPUTS
from pyllm.server.openai.protocol import (
    MAX_MESSAGES,
    MAX_STOPS,
    MAX_TOOLS,
    Body,
    Number,
    StopText,
    Tool,
)

_NO_EFFECT = "no effect: the server was started with its own"

Think = StrictBool | Literal["low", "medium", "high", "none"]
Format = Literal["", "json"] | dict[str, Any]
KeepAlive = StrictStr | StrictInt | Number
Images = Annotated[list[StrictStr], Field(max_length=0, description="pictures are not understood")]


class Options(Body):
    """Of one request; what is silent is Ollama's default."""

    num_predict: StrictInt | None = Field(None, ge=-2, description="-1: no limit")
    seed: StrictInt | None = None
    temperature: Number | None = None
    top_k: StrictInt | None = None
    top_p: Number | None = None
    min_p: Number | None = None
    typical_p: Number | None = None
    repeat_last_n: StrictInt | None = None
    repeat_penalty: Number | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    mirostat: StrictInt | None = None
    mirostat_tau: Number | None = None
    mirostat_eta: Number | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=MAX_STOPS)] | None = None

    num_ctx: StrictInt | None = Field(
        None, ge=1, description="no effect: every request may use the whole context of the server"
    )
    num_keep: StrictInt | None = Field(None, description="no effect: nothing is cut off")
    penalize_newline: StrictBool | None = Field(None, description="no effect")
    tfs_z: Number | None = Field(None, description="no effect")
    num_batch: StrictInt | None = Field(None, description=_NO_EFFECT)
    num_thread: StrictInt | None = Field(None, description=_NO_EFFECT)
    num_gpu: StrictInt | None = Field(None, description=_NO_EFFECT)
    main_gpu: StrictInt | None = Field(None, description=_NO_EFFECT)
    low_vram: StrictBool | None = Field(None, description=_NO_EFFECT)
    f16_kv: StrictBool | None = Field(None, description=_NO_EFFECT)
    vocab_only: StrictBool | None = Field(None, description=_NO_EFFECT)
    use_mmap: StrictBool | None = Field(None, description=_NO_EFFECT)
    use_mlock: StrictBool | None = Field(None, description=_NO_EFFECT)
    numa: StrictBool | None = Field(None, description=_NO_EFFECT)


class Request(Body):
    """Of every request that generates."""

    model: StrictStr = Field(max_length=256)
    stream: StrictBool | None = Field(None, description="default: true")
    format: Format | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None
    think: Think | None = None
    logprobs: StrictBool | None = None
    top_logprobs: StrictInt | None = Field(None, ge=0, le=20)


class GenerateRequest(Request):
    """POST /api/generate; an empty prompt loads or unloads the model."""

    prompt: StrictStr | None = None
    suffix: StrictStr | None = None
    system: StrictStr | None = None
    template: StrictStr | None = Field(None, max_length=0, description="is the model's own")
    raw: StrictBool | None = None

    context: Annotated[list[StrictInt], Field(fail_fast=True)] | None = Field(
        None, description="of an earlier answer"
    )
    images: Images | None = None

    @field_validator("suffix")
    @classmethod
    def _none_if_empty(cls, value: str | None) -> str | None:
        """Clients written in Go send "" for what they do not mean."""
        return value or None


class CalledFunction(Body):
    name: StrictStr
    arguments: dict[str, Any] = Field(default_factory=dict)
    index: StrictInt | None = None
    description: StrictStr | None = None


class Called(Body):
    id: StrictStr | None = None
    type: StrictStr | None = None
    function: CalledFunction


class Message(Body):
    role: StrictStr = Field(max_length=64)
    content: StrictStr | None = ""
    thinking: StrictStr | None = None
    images: Images | None = None
    tool_calls: Annotated[list[Called], Field(max_length=MAX_TOOLS)] | None = None
    tool_name: StrictStr | None = None
    tool_call_id: StrictStr | None = None


class ChatRequest(Request):
    """POST /api/chat; no messages: loads or unloads the model."""

    messages: Annotated[list[Message], Field(max_length=MAX_MESSAGES)] = Field(default_factory=list)
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None


class Embedding(Body):
    """Of every request that embeds."""

    model: StrictStr = Field(max_length=256)
    options: Options | None = Field(None, description="no effect: an embedding has none")
    keep_alive: KeepAlive | None = None


class EmbedRequest(Embedding):
    """POST /api/embed: one text or several."""

    input: StrictStr | Annotated[list[StrictStr], Field(max_length=MAX_INPUTS)] = ""
    truncate: StrictBool | None = Field(None, description="default: true")
    dimensions: StrictInt | None = Field(None, ge=1)


class EmbeddingsRequest(Embedding):
    """POST /api/embeddings, the older route: one text, one vector."""

    prompt: StrictStr = ""


class ModelName(Body):
    """Older clients say `name`."""

    model: StrictStr = Field(max_length=256, validation_alias=AliasChoices("model", "name"))


class ShowRequest(ModelName):
    verbose: StrictBool | None = None
    system: StrictStr | None = Field(None, description="no effect")
    template: StrictStr | None = Field(None, description="no effect")
    options: dict[str, Any] | None = Field(None, description="no effect")


class ManageRequest(Body):
    """Of pull, copy, delete, create and push: whatever they say, the answer is the same."""

    model_config = Body.model_config | {"extra": "ignore"}

    model: StrictStr | None = Field(None, validation_alias=AliasChoices("model", "name"))
