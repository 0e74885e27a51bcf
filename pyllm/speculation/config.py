"""What a caller may ask of speculation, under vLLM's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeAlias

from pyllm.checks import check_integer
from pyllm.errors import RequestError

__all__ = ["SpeculationWish", "SpeculativeConfig", "draft_rows", "read_speculative_config"]

METHODS = ("ngram", "draft_model")
MAX_DRAFT = 64  # guesses of one sequence in one step
MAX_NGRAM = 64
# Logits of guesses take at most this much, or what one sequence's take: 65 rows of 128,256, more
# than have paid in any step.
DRAFT_LOGITS_BYTES = 32 << 20
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class SpeculativeConfig:
    """How tokens are guessed. The defaults are prompt lookup, which needs nothing but the text.

    method                  "ngram": continue as the text went on after the same words before;
                            "draft_model": let a smaller model write ahead
    model                   path of the draft model, with the same vocabulary
    num_speculative_tokens  guesses of one sequence in one step, at most: how many pay is measured
    min_draft_tokens        fewer are not tried
    prompt_lookup_min       length of the shortest n-gram that is looked up
    prompt_lookup_max       n-grams are compared up to this length: the longest match is taken
    """

    method: str = "ngram"
    model: str | None = None
    num_speculative_tokens: int = 16
    min_draft_tokens: int = 1
    prompt_lookup_min: int = 2
    prompt_lookup_max: int = 8

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise _error("method", self.method, f"must be one of {', '.join(METHODS)}")
        if self.method == "draft_model" and self.model is None:
            raise _error("model", None, "a draft model needs the path of its GGUF file")
        if self.method != "draft_model" and self.model is not None:
            raise _error("model", self.model, 'needs method "draft_model"')
        for field, most in (
            ("num_speculative_tokens", MAX_DRAFT),
            ("min_draft_tokens", self.num_speculative_tokens),
            ("prompt_lookup_max", MAX_NGRAM),
            ("prompt_lookup_min", self.prompt_lookup_max),
        ):
            check_integer(f"speculative_config.{field}", getattr(self, field), 1, most)


# What a caller may say: see read_speculative_config.
SpeculationWish: TypeAlias = "SpeculativeConfig | Mapping[str, object] | bool | None"


def read_speculative_config(given: SpeculationWish) -> SpeculativeConfig | None:
    """None and True: prompt lookup; False: no speculation; else a config or the fields of one.

    As in vLLM a config that names a model means that model. Raises RequestError.
    """
    if given is False:
        return None
    if given is None or given is True:
        return SpeculativeConfig()
    if isinstance(given, SpeculativeConfig):
        return given
    if not isinstance(given, Mapping):
        raise RequestError("speculative_config", given, "must be a dictionary or False")
    known = {field.name for field in fields(SpeculativeConfig)}
    for field, value in given.items():
        if field not in known:
            raise _error(str(field), value, f"is not known; allowed: {', '.join(sorted(known))}")
    options = dict(given)
    if options.get("model") is not None:
        options.setdefault("method", "draft_model")
    elif options.get("prompt_lookup_min") is not None:
        # As in vLLM one of the two bounds may be given alone; the other follows.
        options.setdefault("prompt_lookup_max", max(8, _integer(options["prompt_lookup_min"])))
    elif options.get("prompt_lookup_max") is not None:
        options.setdefault("prompt_lookup_min", min(2, _integer(options["prompt_lookup_max"])))
    return SpeculativeConfig(**options)  # type: ignore[arg-type]  # checked when constructed


def draft_rows(config: SpeculativeConfig | None, max_num_seqs: int, n_vocab: int) -> int:
    """Rows of logits that a program needs for guesses, beside one for each sequence."""
    if config is None:
        return 0
    affordable = DRAFT_LOGITS_BYTES // (n_vocab * _FLOAT_BYTES)
    wanted = config.num_speculative_tokens
    return min(wanted * max_num_seqs, max(wanted, affordable))


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _error(field: str, value: object, limit: str) -> RequestError:
    return RequestError(f"speculative_config.{field}", value, limit)
