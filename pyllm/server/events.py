"""What happens to an answer, in no dialect: every dialect writes these down in its own words."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import TypeAlias

from pyllm.outputs import Logprob
from pyllm.sampling.logprobs import FlatLogprobs

_LOGPROB_BYTES = 75  # {"token":" the","logprob":-12.345678901234,"bytes":[32,116,104,101]}

TokenLogprobs: TypeAlias = list[dict[int, Logprob]] | FlatLogprobs


@dataclass(slots=True)
class PromptRead:
    """The prompt of choices `index` and those behind it is read; comes before their tokens.

    logprobs  of each prompt token, when asked for; None for the first, which nothing predicts
    """

    index: int
    text: str | None
    token_ids: list[int]
    logprobs: list[dict[int, Logprob] | None] | FlatLogprobs | None


@dataclass(slots=True)
class Text:
    """A piece of the answer of choice `index`; `reasoning` when the model thinks aloud."""

    index: int
    text: str
    reasoning: bool = False


@dataclass(slots=True)
class Tokens:
    """The tokens that were written since the last of these, before the text they make.

    logprobs  of each, None when not asked for
    """

    index: int
    token_ids: list[int]
    logprobs: TokenLogprobs | None


@dataclass(slots=True)
class CallStart:
    """A tool call begins: number `call` of choice `index`."""

    index: int
    call: int
    id: str
    name: str


@dataclass(slots=True)
class CallArguments:
    """A piece of the JSON text of its arguments."""

    index: int
    call: int
    text: str


@dataclass(slots=True)
class ChoiceEnd:
    """Choice `index` is complete; `finish_reason` as OpenAI names it, "error" besides."""

    index: int
    finish_reason: str
    stop_reason: int | str | None


@dataclass(slots=True)
class Usage:
    """Counts of tokens, and durations in seconds, of all choices together. The last event."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int = 0
    queue_seconds: float = 0.0
    prompt_seconds: float = 0.0
    generation_seconds: float = 0.0
    load_seconds: float = 0.0


Event: TypeAlias = PromptRead | Text | Tokens | CallStart | CallArguments | ChoiceEnd | Usage


def logprobs_size(logprobs: Sized, top: int) -> int:
    """About the bytes of their JSON, with `top` others beside each."""
    return len(logprobs) * (1 + top) * _LOGPROB_BYTES
