"""/api/embed, and /api/embeddings as it was before."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.outputs import RequestOutput
from pyllm.pooling.embedding import PoolingJob, as_embedding, embedding_jobs
from pyllm.pooling.pooling import PoolingParams
from pyllm.prompts import Encoded
from pyllm.server.body import StrictRoute
from pyllm.server.model_registry import Lease
from pyllm.server.off_loop import off_loop
from pyllm.server.ollama.parameters import keep_alive_of
from pyllm.server.ollama.protocol import Embedding, EmbeddingsRequest, EmbedRequest
from pyllm.server.ollama.schemas import refusals
from pyllm.server.openai.common import PlainJSON, lease_of
from pyllm.server.openai.embeddings import one_vector_each
from pyllm.server.streams import to_json
from pyllm.server.text_reading import (
    VECTOR_BYTES,
    client_errors,
    read_texts,
    rows_as_json,
    tokens_of,
)

router = APIRouter(route_class=StrictRoute, tags=["Ollama"], responses=refusals())

_NS = 10**9


@router.post("/api/embed")
async def embed(body: EmbedRequest, request: Request) -> Response:
    """Vectors of length 1. A text beyond the context is cut, or refused with `truncate` false."""
    began = time.perf_counter()
    lease = await _lease(body, request)
    try:
        with client_errors("input"):
            one_vector_each(lease)
            texts = [body.input] if isinstance(body.input, str) else body.input
            # Without a text the model is loaded, or unloaded by keep_alive 0.
            params = PoolingParams(dimensions=body.dimensions)
            jobs = _jobs([] if texts == [""] else texts, params, lease)
            if body.truncate is not False:
                jobs = [_cut_to_fit(job, lease) for job in jobs]
            outputs = await read_texts(request, lease, jobs)
    finally:
        lease.release()
    size = len(outputs) * VECTOR_BYTES
    vectors = await off_loop(lambda: rows_as_json(_vectors(jobs, outputs)), size)
    rest = {
        "total_duration": int((time.perf_counter() - began) * _NS),
        "load_duration": int(lease.load_seconds * _NS),
        "prompt_eval_count": tokens_of(outputs),
    }
    head = to_json({"model": body.model})[:-1]
    whole = head + b',"embeddings":' + vectors + b"," + to_json(rest)[1:]
    return Response(whole, media_type="application/json")


@router.post("/api/embeddings")
async def embeddings(body: EmbeddingsRequest, request: Request) -> Response:
    """One vector, as the model gives it; /api/embed gives several, of length 1."""
    lease = await _lease(body, request)
    try:
        with client_errors("prompt"):
            one_vector_each(lease)
            jobs = _jobs([body.prompt] * bool(body.prompt), PoolingParams(normalize=False), lease)
            jobs = [_cut_to_fit(job, lease) for job in jobs]
            outputs = await read_texts(request, lease, jobs)
    finally:
        lease.release()
    return PlainJSON({"embedding": next(_vectors(jobs, outputs), [])})


async def _lease(body: Embedding, request: Request) -> Lease:
    return await lease_of(request, body.model, keep_alive_of(body))


def _jobs(texts: Sequence[str], params: PoolingParams, lease: Lease) -> list[PoolingJob]:
    return embedding_jobs(texts, params, lease.llm.get_tokenizer(), parse_special=False)


def _cut_to_fit(job: PoolingJob, lease: Lease) -> PoolingJob:
    """The same text without the end that the context does not hold."""
    tokenizer, most = lease.llm.get_tokenizer(), lease.llm.model.max_model_len

    def encode() -> Encoded:
        text, ids = job.encode()
        if len(ids) > most:
            keeps_end = tokenizer.add_eos and most > 1
            ids = [*ids[: most - 1], ids[-1]] if keeps_end else ids[:most]
        return text, ids

    return replace(job, encode=encode)


def _vectors(
    jobs: Sequence[PoolingJob], outputs: Sequence[RequestOutput]
) -> Iterator[list[float] | list[list[float]]]:
    for job, output in zip(jobs, outputs, strict=True):
        yield as_embedding(output, job.params).outputs.embedding
