"""What a caller may ask of sampling, checked field by field before a request exists."""

from __future__ import annotations

import enum
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyllm.checks import check_integer
from pyllm.errors import RequestError
from pyllm.structured.params import StructuredOutputsParams, as_structured_outputs

MAX_N = 128  # sequences of one request; every one of them holds its own KV blocks
MAX_LOGPROBS = 20  # width of the program's top_ids column
MAX_STOP_CHARS = 65_536  # all stop strings together: bounds the matcher built from them
GREEDY_BELOW = 1e-5  # temperatures below this are argmax, as in vLLM
_F32_MAX = 3.4028234e38


class DefaultMaxTokens(int):
    """The 16 of a caller who said nothing: `chat` reads it as "the rest of the context"."""


class RequestOutputKind(enum.Enum):
    """What `Engine.step` reports of a request: everything so far, the news, or only the end."""

    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass(slots=True)
class SamplingParams:
    """How to continue a prompt: vLLM's names and defaults. Raises RequestError naming the field.

    Order of application: structured outputs, repetition penalty, presence and frequency penalties,
    logit bias, temperature (below 1e-5: argmax, lowest id wins), top_k, top_p, min_p.
    Log-probabilities are those of the raw logits. `max_tokens=None` means the rest of the context,
    `top_k` 0 or -1 off; `ignore_eos` has no effect on structured outputs, which end when complete.
    Special tokens are written as they are: `spaces_between_special_tokens` adds none.
    """

    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = DefaultMaxTokens(16)
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    logprob_token_ids: Sequence[int] | None = None
    flat_logprobs: bool = False
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    include_stop_str_in_output: bool = False
    truncate_prompt_tokens: int | None = None
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE
    structured_outputs: StructuredOutputsParams | Mapping[str, Any] | None = None
    logit_bias: Mapping[int, float] | None = None
    allowed_token_ids: Sequence[int] | None = None
    bad_words: Sequence[str] | None = None
    thinking_token_budget: int | None = None
    repetition_detection: Any = None
    extra_args: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.structured_outputs = as_structured_outputs(self.structured_outputs)
        self.validate()

    @property
    def stop_strings(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def is_greedy(self) -> bool:
        return self.temperature < GREEDY_BELOW

    @property
    def has_penalties(self) -> bool:
        return (
            self.repetition_penalty != 1.0
            or self.presence_penalty != 0.0
            or self.frequency_penalty != 0.0
        )

    def validate(self, n_vocab: int | None = None) -> None:
        """Check every field; with `n_vocab` also that token ids lie in the vocabulary."""
        for field, low, high in _REALS:
            _check_real(field, getattr(self, field), low, high)
        for field, smallest, largest, optional in _INTEGERS:
            value = getattr(self, field)
            if not (optional and value is None):
                check_integer(field, value, smallest, largest)
        for field in _FLAGS:
            if not isinstance(getattr(self, field), bool):
                raise RequestError(field, getattr(self, field), "must be True or False")
        for field in _NOT_HONOURED:
            value = getattr(self, field)
            if not _asks_nothing(value):
                raise RequestError(field, value, "is not supported by this version; leave it out")
        self._validate_stops()
        if self.stop_token_ids is not None:
            _check_ids("stop_token_ids", self.stop_token_ids, n_vocab)
        self._validate_logit_bias(n_vocab)
        if (structured := as_structured_outputs(self.structured_outputs)) is not None:
            structured.validate()
        if not isinstance(self.output_kind, RequestOutputKind):
            raise RequestError("output_kind", self.output_kind, "must be a RequestOutputKind")
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            limit = f"must not exceed max_tokens ({self.max_tokens})"
            raise RequestError("min_tokens", self.min_tokens, limit)

    def _validate_stops(self) -> None:
        if self.stop is not None and not isinstance(self.stop, str | list | tuple):
            raise RequestError("stop", self.stop, "must be a string or a list of strings")
        for text in self.stop_strings:
            if not isinstance(text, str) or not text:
                raise RequestError("stop", text, "every stop string must be a non-empty string")
        if sum(map(len, self.stop_strings)) > MAX_STOP_CHARS:
            limit = f"at most {MAX_STOP_CHARS} characters in all stop strings together"
            raise RequestError("stop", len(self.stop_strings), limit)
        if self.stop_strings and not self.detokenize:
            raise RequestError("detokenize", False, "stop strings need detokenize=True")

    def _validate_logit_bias(self, n_vocab: int | None) -> None:
        if self.logit_bias is None:
            return
        if not isinstance(self.logit_bias, Mapping):
            raise RequestError("logit_bias", self.logit_bias, "must map token ids to numbers")
        _check_ids("logit_bias", self.logit_bias, n_vocab)
        for token, value in self.logit_bias.items():
            _check_real(f"logit_bias[{token}]", value, -100.0, 100.0)


# field, lowest, highest; top_p and repetition_penalty exclude 0 by starting at the least positive
_LEAST = 1e-30
_REALS = (
    ("presence_penalty", -2.0, 2.0),
    ("frequency_penalty", -2.0, 2.0),
    ("repetition_penalty", _LEAST, _F32_MAX),
    ("temperature", 0.0, _F32_MAX),
    ("top_p", _LEAST, 1.0),
    ("min_p", 0.0, 1.0),
)
# field, lowest, highest, whether None is allowed; seeds wrap to 64 bits
_INTEGERS = (
    ("n", 1, MAX_N, False),
    ("top_k", -1, 2**31 - 1, False),
    ("seed", -(2**63), 2**64 - 1, True),
    ("max_tokens", 1, 2**31 - 1, True),
    ("min_tokens", 0, 2**31 - 1, False),
    ("logprobs", 0, MAX_LOGPROBS, True),
)
_FLAGS = (
    "ignore_eos",
    "detokenize",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "include_stop_str_in_output",
)
_NOT_HONOURED = (
    "prompt_logprobs",
    "logprob_token_ids",
    "flat_logprobs",
    "truncate_prompt_tokens",
    "allowed_token_ids",
    "bad_words",
    "thinking_token_budget",
    "repetition_detection",
    "extra_args",
)


def _asks_nothing(value: object) -> bool:
    if value is None or value is False:
        return True
    return isinstance(value, list | tuple | dict) and not value


def _check_real(field: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise RequestError(field, value, "must be a number")
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = math.inf
    if not low <= number <= high:  # NaN is in no range
        raise RequestError(field, number, f"must be {_span(low, high)}")


def _span(low: float, high: float) -> str:
    lower = "above 0" if low == _LEAST else f"at least {low:g}"
    return lower if high == _F32_MAX else f"{lower} and at most {high:g}"


def _check_ids(field: str, ids: object, n_vocab: int | None) -> None:
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise RequestError(field, ids, "must be a list of token ids")
    for token in ids:
        check_integer(field, token, 0, (n_vocab or 2**31) - 1)
