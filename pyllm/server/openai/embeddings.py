"""/v1/embeddings."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import RequestError
from pyllm.outputs import RequestOutput
from pyllm.pooling.embedding import PoolingJob, as_embedding, embedding_jobs
from pyllm.pooling.pooling import PoolingParams
from pyllm.prompts import Prompt
from pyllm.server.body import StrictRoute
from pyllm.server.model_registry import Lease
from pyllm.server.off_loop import off_loop
from pyllm.server.openai.common import lease_of, read_fields
from pyllm.server.openai.pooling_protocol import EmbeddingList, EmbeddingRequest
from pyllm.server.openai.schemas import refusals
from pyllm.server.streams import to_json
from pyllm.server.text_reading import (
    VECTOR_BYTES,
    client_errors,
    read_texts,
    rows_as_json,
    usage_of,
)

router = APIRouter(route_class=StrictRoute, tags=["OpenAI"])


@router.post("/v1/embeddings", response_model=EmbeddingList, responses=refusals())
async def embeddings(body: EmbeddingRequest, request: Request) -> Response:
    """The embeddings of texts, pooled as the model's file says, of length 1 unless told not to."""
    lease = await lease_of(request, body.model, timeout=body.timeout)
    try:
        with client_errors("input"):
            jobs = await read_fields(request, partial(_jobs, body, lease))
            outputs = await read_texts(
                request, lease, jobs, priority=body.priority, timeout=body.timeout
            )
    finally:
        lease.release()
    written = partial(_written, body, lease.name, jobs, outputs)
    return Response(
        await off_loop(written, len(outputs) * VECTOR_BYTES), media_type="application/json"
    )


def one_vector_each(lease: Lease) -> None:
    """RequestError when the model's file says that tokens are not pooled."""
    kind = lease.llm.model.pooling.type
    if kind == "none":
        limit = "gives a vector for each token, not one for a text"
        raise RequestError("pooling_type", kind, limit)


def _jobs(body: EmbeddingRequest, lease: Lease) -> list[PoolingJob]:
    one_vector_each(lease)
    params = PoolingParams(dimensions=body.dimensions, normalize=body.normalize is not False)
    prompts: list[Prompt] = [
        {"prompt" if isinstance(text, str) else "prompt_token_ids": text, **_salt(body)}
        for text in _texts(body.input)
    ]
    return embedding_jobs(prompts, params, lease.llm.get_tokenizer(), parse_special=False)


def _texts(given: Any) -> list[Any]:
    return [given] if isinstance(given, str) or isinstance(given[0], int) else given


def _salt(body: EmbeddingRequest) -> dict[str, str]:
    return {} if body.cache_salt is None else {"cache_salt": body.cache_salt}


def _written(
    body: EmbeddingRequest,
    name: str,
    jobs: Sequence[PoolingJob],
    outputs: Sequence[RequestOutput],
) -> bytes:
    rows = rows_as_json(_rows(body, jobs, outputs))
    rest = {"model": body.model or name, "usage": usage_of(outputs)}
    return b'{"object":"list","data":' + rows + b"," + to_json(rest)[1:]


def _rows(
    body: EmbeddingRequest, jobs: Sequence[PoolingJob], outputs: Sequence[RequestOutput]
) -> Iterator[dict[str, Any]]:
    for index, (job, output) in enumerate(zip(jobs, outputs, strict=True)):
        numbers: Any = as_embedding(output, job.params).outputs.embedding
        if body.encoding_format == "base64":
            numbers = base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()
        yield {"object": "embedding", "index": index, "embedding": numbers}
