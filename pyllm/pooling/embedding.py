"""From the texts of a call to requests that read them, and from their vectors to its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyllm.call_arguments import params_for
from pyllm.errors import PyLLMError, printable
from pyllm.outputs import RequestOutput
from pyllm.pooling.outputs import EmbeddingOutput, EmbeddingRequestOutput
from pyllm.pooling.pooling import Floats, PoolingParams, finished
from pyllm.pooling.request import PooledOutput
from pyllm.prompts import Encoded, Prompts, as_prompt_list, cache_salt, encode_prompt

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

__all__ = ["PoolingJob", "as_embedding", "embedding_jobs", "pooled_by"]


@dataclass(frozen=True, slots=True)
class PoolingJob:
    """A text to read. `encode` raises what encode_prompt does, and may take a while."""

    encode: Callable[[], Encoded]
    params: PoolingParams
    salt: str | None = None


def embedding_jobs(
    prompts: Prompts,
    params: PoolingParams | Sequence[PoolingParams] | None,
    tokenizer: Tokenizer,
    *,
    parse_special: bool,
) -> list[PoolingJob]:
    """One for each prompt. Raises RequestError."""
    given = as_prompt_list(prompts)
    return [
        PoolingJob(
            partial(encode_prompt, prompt, tokenizer, parse_special=parse_special),
            replace(wanted),  # the caller may go on changing theirs
            cache_salt(prompt),
        )
        for prompt, wanted in zip(
            given, params_for(len(given), params, PoolingParams(), "pooling_params"), strict=True
        )
    ]


def pooled_by(output: RequestOutput) -> Floats:
    """The vector of a request; PyLLMError when it ended without one."""
    if isinstance(output, PooledOutput) and output.pooled is not None:
        return output.pooled
    (part,) = output.outputs
    reason = part.stop_reason or part.finish_reason
    raise PyLLMError(f"request {printable(output.request_id)} gave no vector: {reason}")


def as_embedding(output: RequestOutput, params: PoolingParams) -> EmbeddingRequestOutput:
    vector: npt.NDArray[np.float32] = finished(pooled_by(output), params)
    return EmbeddingRequestOutput(
        output.request_id,
        EmbeddingOutput(vector.tolist()),
        output.prompt_token_ids,
        num_cached_tokens=output.num_cached_tokens,
    )
