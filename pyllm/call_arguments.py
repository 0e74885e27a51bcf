"""What a caller may say of several prompts at once, brought to one value for each of them."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from pyllm.checks import check_integer
from pyllm.errors import RequestError
from pyllm.sampling.params import DefaultMaxTokens, SamplingParams

Params = TypeVar("Params")  # SamplingParams or PoolingParams

__all__ = [
    "check_batch",
    "check_priority",
    "check_slowdown",
    "for_chat",
    "params_for",
    "priorities_for",
    "refuse_chat_options",
    "refuse_prompt_options",
]


def params_for(
    count: int,
    given: Params | Sequence[Params] | None,
    default: Params,
    field: str = "sampling_params",
) -> list[Params]:
    """One for each of `count` prompts. RequestError, about `field`."""
    params, kind = default if given is None else given, type(default)
    if isinstance(params, kind):
        return [params] * count
    if not isinstance(params, Sequence) or not all(isinstance(p, kind) for p in params):
        raise RequestError(field, given, f"must be {kind.__name__} or a list of them")
    if len(params) != count:
        limit = f"must be one for all or one for each of the {count} prompts"
        raise RequestError(field, f"{len(params)} of them", limit)
    return list(params)


def priorities_for(count: int, given: int | Sequence[int]) -> list[int]:
    if isinstance(given, numbers.Integral):
        given = [int(given)] * count
    if not isinstance(given, Sequence) or len(given) != count:
        limit = f"must be one integer for all or one for each of the {count} prompts"
        raise RequestError("priority", given, limit)
    for priority in given:
        check_priority(priority)
    return list(given)


def check_batch(max_num_seqs: int, max_num_batched_tokens: int) -> None:
    check_integer("max_num_seqs", max_num_seqs, 1, 2**31 - 1)
    check_integer("max_num_batched_tokens", max_num_batched_tokens, 1, 2**31 - 1)
    if max_num_batched_tokens < max_num_seqs:
        limit = f"must be at least max_num_seqs ({max_num_seqs})"
        raise RequestError("max_num_batched_tokens", max_num_batched_tokens, limit)


def check_priority(priority: int) -> None:
    check_integer("priority", priority, -(2**31), 2**31 - 1)


def check_slowdown(value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and value > 1):  # type: ignore[operator]
        raise RequestError("max_decode_slowdown", value, "must be a number above 1, or None")


def refuse_prompt_options(*, token_healing: bool, parse_special: bool) -> None:
    """What a conversation cannot be asked."""
    if token_healing:
        limit = "applies to a plain prompt; a template ends where a message ends"
        raise RequestError("token_healing", True, limit)
    if parse_special:
        limit = "applies to a plain prompt; what a template writes is parsed anyway"
        raise RequestError("parse_special", True, limit)


def refuse_chat_options(cache_salt: str | None, template_options: Mapping[str, object]) -> None:
    """What a plain prompt cannot be asked."""
    if cache_salt is not None:
        limit = "applies to messages; a plain prompt has it in its dictionary"
        raise RequestError("cache_salt", cache_salt, limit)
    for field, value in template_options.items():
        raise RequestError(field, value, "applies to messages, not to a plain prompt")


def for_chat(params: SamplingParams) -> SamplingParams:
    """An answer of 16 tokens is nobody's wish: unless asked for, chats run to their end."""
    if isinstance(params.max_tokens, DefaultMaxTokens):
        return replace(params, max_tokens=None)
    return params
