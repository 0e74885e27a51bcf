"""/v1/models."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import ModelFileError
from pyllm.server.body import StrictRoute
from pyllm.server.model_card import ModelCard
from pyllm.server.model_registry import ModelRegistry
from pyllm.server.openai.common import PlainJSON, service_of
from pyllm.server.openai.schemas import ModelEntry, ModelList, refusals

router = APIRouter(route_class=StrictRoute, tags=["OpenAI"])


@router.get("/v1/models", response_model=ModelList, responses=refusals())
async def list_models(request: Request) -> Response:
    """The models of this server; a file that cannot be read is left out."""
    registry = service_of(request).registry
    found = []
    for name in registry.names():
        try:
            found.append(_entry(registry, await registry.card(name)))
        except (ModelFileError, OSError):
            continue
    return PlainJSON({"object": "list", "data": found})


@router.get("/v1/models/{model:path}", response_model=ModelEntry, responses=refusals())
async def one_model(model: str, request: Request) -> Response:
    """One model by its name or an alias."""
    service = service_of(request)
    return PlainJSON(_entry(service.registry, await service.card(model)))


def _entry(registry: ModelRegistry, card: ModelCard) -> dict[str, Any]:
    return {
        "id": card.name,
        "object": "model",
        "created": int(card.modified),
        "owned_by": "pyllm",
        "max_model_len": registry.max_model_len(card),
        "meta": {
            "architecture": card.architecture,
            "n_params": card.parameters,
            "size": card.file_bytes,
            "n_ctx_train": card.context_length,
            "file_type": card.file_type,
        },
        "aliases": registry.aliases(card.name)[1:],
        "loaded": registry.peek(card.name) is not None,
        "root": card.name,
        "parent": None,
    }
