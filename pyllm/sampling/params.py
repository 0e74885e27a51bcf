"""What a caller may ask of sampling, checked field by field before a request exists."""

from __future__ import annotations

import enum
import math
import numbers
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pyllm.checks import check_integer
from pyllm.errors import RequestError
from pyllm.sampling.order import canonical_names, order_number
from pyllm.sampling.processor_forms import AnyProcessor, number_of_arguments
from pyllm.sampling.repetition import RepetitionDetectionParams
from pyllm.structured.params import StructuredOutputsParams, as_structured_outputs

MAX_N = 128  # sequences of one request; every one of them holds its own KV blocks
MAX_LOGPROBS = 20  # as in vLLM; one takes 265 bytes, a vocabulary of 128k 34 MB for each token
MAX_LOGPROB_TOKEN_IDS = 128  # as in vLLM
MAX_STOP_CHARS = 65_536  # all stop strings together: bounds the matcher built from them
GREEDY_BELOW = 1e-5  # temperatures below this are argmax, as in vLLM
MAX_BREAKERS = 64  # DRY looks for each of them in the whole vocabulary
_F32_MAX = 3.4028234e38

# (prompt ids, output ids, float32 [n_vocab]) or (output ids, float32 [n_vocab]) -> the logits to
# sample from; None: changed in place.
LogitsProcessor: TypeAlias = AnyProcessor


class DefaultMaxTokens(int):
    """The 16 of a caller who said nothing: `chat` reads it as "the rest of the context"."""


class OwnLogprobs(int):
    """A number of log-probabilities that pyllm itself asks for: max_logprobs is for callers."""


class RequestOutputKind(enum.Enum):
    """What `Engine.step` reports of a request: everything so far, the news, or only the end."""

    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass(slots=True)
class SamplingParams:
    """How to continue a prompt: vLLM's names and defaults, then llama.cpp's samplers.

    Raises RequestError naming the field.

    Order of application: logits processors, structured outputs and allowed_token_ids, logit bias
    and bad words, repetition, presence and frequency penalties, temperature (below 1e-5: argmax,
    lowest id wins), min_p, top_k, top_p. llama.cpp's own stand where llama.cpp has them: DRY behind
    the penalties, top_n_sigma before min_p, typical_p behind top_k, XTC last; `samplers` gives
    another order, and what it does not name is not applied. Log-probabilities are those of the raw
    logits.

    `max_tokens=None` means the rest of the context, `top_k` 0 or -1 off, `logprobs` and
    `prompt_logprobs` -1 the whole vocabulary; more than 20 only where the LLM was made with a
    larger `max_logprobs`. `logprob_token_ids` reports on these tokens instead of the best ones.
    A `logit_bias` of -inf forbids its token. `thinking_token_budget` ends a <think> block after so
    many tokens (-1: never). `truncate_prompt_tokens` keeps the last k tokens of the prompt, -1 as
    many as leave room for the answer. `ignore_eos` has no effect on structured outputs, which end
    when complete. Special tokens are written as they are: `spaces_between_special_tokens` adds
    none. `extra_args` is handed on and read by nobody here.

    repeat_last_n  None: penalties as vLLM's (repetition looks at the whole sequence, presence and
                   frequency at the output); a number: all three look at the last n tokens of prompt
                   and output, as llama.cpp's; -1 is the whole sequence, 0 turns them off
    mirostat       1 or 2 takes the place of every truncation, as in llama.cpp; its state is a
                   function of the sequence
    min_keep       tokens that top_p, min_p, typical_p and XTC leave at least
    dynatemp_range the temperature lies this far around `temperature`, following the entropy
    logits_processors  called in this order for every token with (prompt ids, output ids, logits),
                   or with (output ids, logits) those that take two arguments; a request whose
                   processor raises ends alone, with finish_reason "error"
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
    stop_token_ids: Collection[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = DefaultMaxTokens(16)
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    logprob_token_ids: Collection[int] | None = None
    flat_logprobs: bool = False
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    include_stop_str_in_output: bool = False
    truncate_prompt_tokens: int | None = None
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE
    structured_outputs: StructuredOutputsParams | Mapping[str, Any] | None = None
    logit_bias: Mapping[int, float] | None = None
    allowed_token_ids: Collection[int] | None = None
    bad_words: Sequence[str] | None = None
    thinking_token_budget: int | None = None
    repetition_detection: RepetitionDetectionParams | None = None
    extra_args: Mapping[str, Any] | None = None
    logits_processors: Sequence[LogitsProcessor] | None = None
    samplers: Sequence[str] | None = None
    min_keep: int = 0
    repeat_last_n: int | None = None
    typical_p: float = 1.0
    top_n_sigma: float = -1.0
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = 64
    dry_sequence_breakers: Sequence[str] = ("\n", ":", '"', "*")
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1

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
        """Whether the temperature asks for the best token; XTC before it may still exclude that."""
        return self.temperature < GREEDY_BELOW

    @property
    def has_penalties(self) -> bool:
        return self.repeat_last_n != 0 and (
            self.repetition_penalty != 1.0
            or self.presence_penalty != 0.0
            or self.frequency_penalty != 0.0
        )

    @property
    def has_dry(self) -> bool:
        return self.dry_multiplier > 0.0 and self.dry_penalty_last_n != 0

    @property
    def is_stateful(self) -> bool:
        """Whether a token's distribution depends on more than the tokens before it, or on Python:
        such a sequence samples one token at a time.
        """
        return self.mirostat != 0 or bool(self.logits_processors)

    @property
    def sampler_order(self) -> int:
        """The order of samplers as the core reads it; see sampler_order.py."""
        names = None if self.samplers is None else canonical_names(self.samplers)
        extended = (
            self.has_dry
            or self.typical_p < 1.0
            or self.top_n_sigma > 0.0
            or self.xtc_probability > 0.0
            or self.dynatemp_range > 0.0
            or self.min_keep > 0
        )
        return order_number(names, self.mirostat, extended=extended)

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
        self._validate_stops()
        if self.stop_token_ids is not None:
            _check_ids("stop_token_ids", self.stop_token_ids, n_vocab)
        if self.allowed_token_ids is not None:
            _check_ids("allowed_token_ids", self.allowed_token_ids, n_vocab)
            if not len(self.allowed_token_ids):
                raise RequestError("allowed_token_ids", [], "must name at least one token")
        if self.logprob_token_ids is not None:
            _check_ids("logprob_token_ids", self.logprob_token_ids, n_vocab)
            if len(self.logprob_token_ids) > MAX_LOGPROB_TOKEN_IDS:
                limit = f"at most {MAX_LOGPROB_TOKEN_IDS} token ids"
                raise RequestError("logprob_token_ids", len(self.logprob_token_ids), limit)
        self._validate_logit_bias(n_vocab)
        if (structured := as_structured_outputs(self.structured_outputs)) is not None:
            structured.validate()
        self._validate_texts("bad_words", self.bad_words or ())
        self._validate_texts("dry_sequence_breakers", self.dry_sequence_breakers)
        if len(self.dry_sequence_breakers) > MAX_BREAKERS:
            limit = f"at most {MAX_BREAKERS} strings"
            raise RequestError("dry_sequence_breakers", len(self.dry_sequence_breakers), limit)
        self._validate_samplers()
        self._validate_objects()
        if self.truncate_prompt_tokens == 0:
            raise RequestError("truncate_prompt_tokens", 0, "must be -1 or at least 1")
        if not isinstance(self.output_kind, RequestOutputKind):
            raise RequestError("output_kind", self.output_kind, "must be a RequestOutputKind")
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            limit = f"must not exceed max_tokens ({self.max_tokens})"
            raise RequestError("min_tokens", self.min_tokens, limit)

    def check_logprobs(self, most: int, n_vocab: int) -> None:
        """Check what an engine allows; `most` -1: any number."""
        for field in ("logprobs", "prompt_logprobs"):
            value = getattr(self, field)
            if value is None or isinstance(value, OwnLogprobs) or most == -1:
                continue
            if (n_vocab if value == -1 else value) > most:
                limit = f"at most {most}; the engine's option max_logprobs allows more"
                raise RequestError(field, int(value), limit)

    def _validate_texts(self, field: str, texts: object) -> None:
        if not isinstance(texts, list | tuple):
            raise RequestError(field, texts, "must be a list of strings")
        for text in texts:
            if not isinstance(text, str) or (not text.strip() and field == "bad_words") or not text:
                raise RequestError(field, text, "every one must be a non-empty string")

    def _validate_samplers(self) -> None:
        if self.samplers is None:
            return
        canonical_names(self.samplers)
        if self.mirostat:
            raise RequestError("samplers", self.samplers, "mirostat leaves no room for samplers")

    def _validate_objects(self) -> None:
        detection: object = self.repetition_detection
        if not isinstance(detection, RepetitionDetectionParams | None):
            limit = "must be RepetitionDetectionParams"
            raise RequestError("repetition_detection", detection, limit)
        extra: object = self.extra_args
        if extra is not None and not (
            isinstance(extra, Mapping) and all(isinstance(name, str) for name in extra)
        ):
            raise RequestError("extra_args", extra, "must map names to values")
        processors: object = self.logits_processors
        if processors is not None and not (
            isinstance(processors, list | tuple) and all(map(callable, processors))
        ):
            raise RequestError("logits_processors", processors, "must be a list of callables")
        for index, processor in enumerate(processors or ()):
            if number_of_arguments(processor) is None:
                limit = "must take (prompt ids, output ids, logits) or (output ids, logits)"
                raise RequestError(f"logits_processors[{index}]", processor, limit)

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
            if value != -math.inf:  # "never"
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
    ("typical_p", 0.0, 1.0),
    ("top_n_sigma", -_F32_MAX, _F32_MAX),
    ("dynatemp_range", 0.0, _F32_MAX),
    ("dynatemp_exponent", -_F32_MAX, _F32_MAX),
    ("mirostat_tau", 0.0, 1000.0),
    ("mirostat_eta", 0.0, 1000.0),
    ("dry_multiplier", 0.0, _F32_MAX),
    ("dry_base", 1.0, _F32_MAX),
    ("xtc_probability", 0.0, 1.0),
    ("xtc_threshold", 0.0, 1.0),
)
# field, lowest, highest, whether None is allowed; seeds wrap to 64 bits
_INTEGERS = (
    ("n", 1, MAX_N, False),
    ("top_k", -1, 2**31 - 1, False),
    ("seed", -(2**63), 2**64 - 1, True),
    ("max_tokens", 1, 2**31 - 1, True),
    ("min_tokens", 0, 2**31 - 1, False),
    ("logprobs", -1, 2**31 - 1, True),
    ("prompt_logprobs", -1, 2**31 - 1, True),
    ("thinking_token_budget", -1, 2**31 - 1, True),
    ("truncate_prompt_tokens", -1, 2**31 - 1, True),
    ("min_keep", 0, 2**31 - 1, False),
    ("repeat_last_n", -1, 2**31 - 1, True),
    ("mirostat", 0, 2, False),
    ("dry_allowed_length", 0, 2**31 - 1, False),
    ("dry_penalty_last_n", -1, 2**31 - 1, False),
)
_FLAGS = (
    "ignore_eos",
    "flat_logprobs",
    "detokenize",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "include_stop_str_in_output",
)


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
    # No iterator: this check would use it up. An array of no dimension is no list either.
    if (
        not isinstance(ids, Collection)
        or isinstance(ids, str | bytes)
        or (isinstance(ids, np.ndarray) and ids.ndim != 1)
    ):
        raise RequestError(field, ids, "must be a list of token ids")
    for token in ids:
        check_integer(field, token, 0, (n_vocab or 2**31) - 1)
