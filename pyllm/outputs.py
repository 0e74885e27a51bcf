"""What a request gives back, in vLLM's shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pyllm.sampling.logprobs import FlatLogprobs

FinishReason = Literal["stop", "length", "error", "abort", "repetition"]


@dataclass(slots=True)
class Logprob:
    """One token's natural log-probability; `rank` counts from 1, None outside the reported top."""

    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass(slots=True)
class CompletionOutput:
    """One continuation of a prompt.

    finish_reason  "stop": an end-of-generation token, a stop id or a stop string;
                   "length": max_tokens or the end of the context; "error": see stop_reason;
                   "abort": cancelled; "repetition": see repetition_detection; None while it runs
    stop_reason    the stop string or stop id that matched, "repetition_detected"; of an error
                   "nonfinite_logits", "no_token_allowed", "structured_outputs: " and what the
                   grammar ran into, "logits processor failed: " and its exception, or the
                   exception that ended it
    """

    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None
    logprobs: list[dict[int, Logprob]] | FlatLogprobs | None
    finish_reason: FinishReason | None = None
    stop_reason: int | str | None = None

    def finished(self) -> bool:
        return self.finish_reason is not None


@dataclass(slots=True)
class RequestMetrics:
    """When things happened to a request, in seconds of `time.perf_counter()`.

    All outputs of a request share one object: fields fill in while it runs.
    """

    arrival_time: float
    first_scheduled_time: float | None = None
    first_token_time: float | None = None
    last_token_time: float | None = None
    finished_time: float | None = None
    num_preemptions: int = 0
    num_draft_tokens: int = 0  # guessed by speculation
    num_accepted_tokens: int = 0  # of those, guessed right
    num_output_tokens: int = 0  # of all continuations; known when it has finished


@dataclass(slots=True)
class RequestOutput:
    """A prompt and its continuations, `outputs[i].index == i` when finished.

    prompt_logprobs  one entry for each prompt token, None for the first: nothing predicts it
    """

    request_id: str
    prompt: str | None  # None when the prompt was given as token ids
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    finished: bool
    metrics: RequestMetrics | None = None
    prompt_logprobs: list[dict[int, Logprob] | None] | FlatLogprobs | None = None
    num_cached_tokens: int = 0  # of the prompt, found in the prefix cache


@dataclass(slots=True)
class Delta:
    """What one step added to one continuation, as `LLM.stream` yields it.

    `text` holds complete characters only and may be empty while a stop string could still match.
    The last delta of a continuation carries `finish_reason`; `finished` is True on the last delta
    of the whole request. `str(delta)` is its text.
    """

    index: int
    text: str
    token_ids: list[int]
    logprobs: list[dict[int, Logprob]] | FlatLogprobs | None = None
    finish_reason: FinishReason | None = None
    stop_reason: int | str | None = None
    finished: bool = False
    request_id: str = ""
    prompt_token_ids: list[int] = field(default_factory=list, repr=False)
    metrics: RequestMetrics | None = None
    num_cached_tokens: int = 0  # of the prompt, found in the prefix cache

    def __str__(self) -> str:
        return self.text
