"""SamplingParams from Ollama's options, with Ollama's defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pyllm.durations import read_duration
from pyllm.errors import RequestError
from pyllm.sampling.params import SamplingParams
from pyllm.server.errors import as_api_error
from pyllm.server.ollama.protocol import Embedding, Options, Request
from pyllm.server.sampling import sampling_params
from pyllm.server.structure import Structure

_DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "max_tokens": None}
_SAME_NAME = (
    "seed", "temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_last_n",
    "presence_penalty", "frequency_penalty", "mirostat", "mirostat_tau", "mirostat_eta", "stop",
)  # fmt: skip


def params_of(body: Request, defaults: Mapping[str, Any], stream: bool) -> SamplingParams:
    """`defaults` are those of the model's file. Raises RequestError naming the field."""
    options = body.options or Options()
    fields = {name: getattr(options, name) for name in _SAME_NAME}
    fields["repetition_penalty"] = options.repeat_penalty
    if options.num_predict is not None and options.num_predict >= 0:
        fields["max_tokens"] = max(1, options.num_predict)
    if body.logprobs:
        fields["logprobs"] = body.top_logprobs or 0
    try:
        return sampling_params(fields, {**_DEFAULTS, **defaults}, stream=stream)
    except RequestError as error:
        raise RequestError(f"options.{error.field}", error.value, error.message) from error


def structure_of(body: Request) -> Structure | None:
    """What the answer must look like; None: anything."""
    if not body.format:
        return None
    params = {"json_object": True} if body.format == "json" else {"json": body.format}
    return Structure("format", params)


def thinking_of(body: Request) -> tuple[bool | None, dict[str, Any]]:
    """Whether to think, and how much, as variables of the template."""
    if isinstance(body.think, str):
        return body.think != "none", {"reasoning_effort": body.think}
    return body.think, {}


def keep_alive_of(body: Request | Embedding) -> float | None:
    """Seconds; None: as the server was started. Raises ApiError."""
    given = body.keep_alive
    if given is None:
        return None
    try:
        return read_duration(given if isinstance(given, str) else json.dumps(given))
    except ValueError as error:
        raise as_api_error(RequestError("keep_alive", given, str(error))) from None
