"""/v1/rerank and /v1/score, with the other names that people have for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.outputs import RequestOutput
from pyllm.pooling.outputs import ScoringRequestOutput
from pyllm.server.body import StrictRoute
from pyllm.server.off_loop import off_loop
from pyllm.server.openai.common import caller_of, json_answer, lease_of
from pyllm.server.openai.pooling_protocol import (
    Ranking,
    ReadingBody,
    RerankRequest,
    ScoreList,
    ScoreRequest,
)
from pyllm.server.openai.schemas import refusals
from pyllm.server.text_reading import VECTOR_BYTES, client_errors, read_texts, usage_of

router = APIRouter(route_class=StrictRoute, tags=["OpenAI"])

_RESULT_BYTES = 60  # without its document


@router.post("/v1/rerank", response_model=Ranking, responses=refusals())
@router.post("/v2/rerank", response_model=Ranking, responses=refusals())
@router.post("/rerank", response_model=Ranking, responses=refusals())
@router.post("/reranking", response_model=Ranking, responses=refusals())
@router.post("/v1/reranking", response_model=Ranking, responses=refusals())
async def rerank(body: RerankRequest, request: Request) -> Response:
    """Documents by how well they answer a query, best first.

    A model made for it gives probabilities; any other the cosines of embeddings.
    """
    texts = [text if isinstance(text, str) else text.text for text in body.documents]
    name, scores, outputs = await _scored(
        request, body, body.query, texts, text_1="query", text_2="documents"
    )
    head = {
        "id": f"rerank-{caller_of(request).request_id}",
        "object": "list",
        "model": body.model or name,
        "usage": usage_of(outputs),
    }
    size = _RESULT_BYTES * len(texts) + sum(map(len, texts))
    return await json_answer(lambda: {**head, "results": _ranked(body, texts, scores)}, size)


def _ranked(
    body: RerankRequest, texts: Sequence[str], scores: Sequence[ScoringRequestOutput]
) -> list[dict[str, Any]]:
    found = [output.outputs.score for output in scores]
    # Equal scores stay in the order of the documents.
    order = sorted(range(len(texts)), key=lambda index: -found[index])[: body.top_n or None]
    results: list[dict[str, Any]] = [
        {"index": index, "relevance_score": found[index]} for index in order
    ]
    if body.return_documents is not False:
        for result in results:
            result["document"] = {"text": texts[result["index"]]}
    return results


@router.post("/v1/score", response_model=ScoreList, responses=refusals())
@router.post("/score", response_model=ScoreList, responses=refusals())
async def score(body: ScoreRequest, request: Request) -> Response:
    """How well texts belong together: one against one or many, or each against its partner."""
    name, scores, outputs = await _scored(request, body, body.text_1, body.text_2)
    head = {
        "id": f"score-{caller_of(request).request_id}",
        "object": "list",
        "created": int(time.time()),
        "model": body.model or name,
        "usage": usage_of(outputs),
    }

    def whole() -> dict[str, Any]:
        data = [
            {"index": index, "object": "score", "score": output.outputs.score}
            for index, output in enumerate(scores)
        ]
        return {**head, "data": data}

    return await json_answer(whole, _RESULT_BYTES * len(scores))


async def _scored(
    request: Request,
    body: ReadingBody,
    first: str | Sequence[str],
    second: str | Sequence[str],
    **names: str,
) -> tuple[str, list[ScoringRequestOutput], list[RequestOutput]]:
    """The model's name, the scores, and what was read for them.

    names  of the two texts, where the client calls them otherwise
    """
    lease = await lease_of(request, body.model, timeout=body.timeout)
    try:
        with client_errors(names.get("text_2", "text_2"), **names):
            # The first one looks through the whole vocabulary.
            scoring = await asyncio.to_thread(lease.llm.scorer.scoring, first, second)
            outputs = await read_texts(
                request, lease, scoring.jobs, priority=body.priority, timeout=body.timeout
            )
            results = partial(scoring.results, outputs)
            return lease.name, await off_loop(results, len(outputs) * VECTOR_BYTES), outputs
    finally:
        lease.release()
