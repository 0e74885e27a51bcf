"""SamplingParams from the body of an OpenAI request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyllm.errors import RequestError
from pyllm.sampling.params import SamplingParams
from pyllm.server.openai.protocol import ChatRequest, CompletionRequest, SamplingBody
from pyllm.server.sampling import sampling_params, token_biases
from pyllm.server.structure import Structure

# Fields that are fields of SamplingParams by the same name.
_SAME_NAME = (
    "n", "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "stop", "top_k",
    "min_p", "repetition_penalty", "stop_token_ids", "include_stop_str_in_output", "ignore_eos",
    "min_tokens", "skip_special_tokens", "spaces_between_special_tokens", "truncate_prompt_tokens",
    "prompt_logprobs", "allowed_token_ids", "bad_words", "thinking_token_budget", "repeat_last_n",
    "typical_p", "top_n_sigma", "dynatemp_range", "dynatemp_exponent", "mirostat", "mirostat_tau",
    "mirostat_eta", "dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n",
    "dry_sequence_breakers", "xtc_probability", "xtc_threshold", "samplers", "min_keep",
)  # fmt: skip

# Spellings of the one field structured_outputs: vLLM's older ones, and llama-server's.
_STRUCTURES = {
    "guided_json": "json",
    "guided_regex": "regex",
    "guided_choice": "choice",
    "guided_grammar": "grammar",
    "grammar": "grammar",
    "json_schema": "json",
}


def params_of_chat(body: ChatRequest, defaults: Mapping[str, Any], stream: bool) -> SamplingParams:
    """max_tokens None: the rest of the context. Raises RequestError naming the field."""
    fields = common_fields(body)
    if body.top_logprobs is not None and not body.logprobs:
        raise RequestError("top_logprobs", body.top_logprobs, "needs logprobs: true")
    if body.logprobs:
        fields["logprobs"] = body.top_logprobs or 0
    limit = body.max_completion_tokens or body.max_tokens
    return sampling_params(fields, {"max_tokens": None, **defaults, **_limit(limit)}, stream=stream)


def params_of_completion(
    body: CompletionRequest, defaults: Mapping[str, Any], stream: bool
) -> SamplingParams:
    """max_tokens defaults to 16, as OpenAI's and vLLM's."""
    fields = common_fields(body)
    fields["logprobs"] = body.logprobs
    if body.echo and body.logprobs is not None and body.prompt_logprobs is None:
        fields["prompt_logprobs"] = body.logprobs
    return sampling_params(fields, {**defaults, **_limit(body.max_tokens)}, stream=stream)


def structure_of(body: SamplingBody) -> Structure | None:
    """What the answer must look like; None: anything."""
    found = [
        Structure(name, {kind: value})
        for name, kind in _STRUCTURES.items()
        if (value := getattr(body, name)) is not None
    ]
    if body.structured_outputs is not None:
        found.append(Structure("structured_outputs", body.structured_outputs))
    response_format = getattr(body, "response_format", None)
    if response_format is not None and (structure := _of_format(response_format)) is not None:
        found.append(Structure("response_format", structure))
    if len(found) > 1:
        names = ", ".join((*_STRUCTURES, "structured_outputs"))
        limit = f"goes with none of {names}: give one"
        raise RequestError("response_format", "several", limit)
    return found[0] if found else None


def _of_format(response_format: Any) -> dict[str, Any] | None:
    kind = response_format.type
    if kind == "text":
        return None
    if kind == "json_object":
        schema = response_format.schema_  # llama-server's way to give one
        return {"json_object": True} if schema is None else {"json": schema}
    if kind == "structural_tag":
        tag = {"structures": response_format.structures, "triggers": response_format.triggers}
        return {"structural_tag": tag}
    given = response_format.json_schema
    if given is None or given.schema_ is None:
        raise RequestError("response_format.json_schema.schema", None, "is missing")
    return {"json": given.schema_}


def common_fields(body: SamplingBody) -> dict[str, Any]:
    """Fields of SamplingParams that every request may have. Raises RequestError."""
    fields = {name: getattr(body, name) for name in _SAME_NAME}
    if fields["repetition_penalty"] is None:
        fields["repetition_penalty"] = body.repeat_penalty
    # Editors name llama-server's sampler of infill tokens, and send an empty list to mean nothing.
    fields["samplers"] = [name for name in body.samplers or () if name != "infill"] or None
    fields["logit_bias"] = token_biases("logit_bias", body.logit_bias)
    return fields


def _limit(max_tokens: int | None) -> dict[str, Any]:
    return {} if max_tokens is None else {"max_tokens": max_tokens}
