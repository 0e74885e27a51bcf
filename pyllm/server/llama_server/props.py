"""/props and /slots. Both only look: a model that is not loaded stays so, and what its file and the
server's settings say is the answer."""

from __future__ import annotations

import inspect
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm import __version__
from pyllm.llm import LLM
from pyllm.server.body import StrictRoute
from pyllm.server.model_card import ModelCard
from pyllm.server.openai.common import PlainJSON, service_of
from pyllm.server.openai.schemas import refusals
from pyllm.server.service import Service

router = APIRouter(route_class=StrictRoute, tags=["llama-server"], responses=refusals())

_DEFAULT_SLOTS: int = inspect.signature(LLM).parameters["max_num_seqs"].default


@router.get("/props")
async def props(request: Request, model: str | None = None) -> Response:
    """What clients ask before they begin: context, template, marks."""
    service = service_of(request)
    card = await service.card(model)
    loaded = service.registry.peek(card.name)
    n_ctx, slots = _size(service, card)
    return PlainJSON(
        {
            "default_generation_settings": {"n_ctx": n_ctx, "params": dict(card.sampling)},
            "total_slots": slots,
            "model_alias": card.name,
            "chat_template": card.chat_template or "",
            "bos_token": card.bos_token,
            "eos_token": card.eos_token,
            "modalities": {"vision": False, "audio": False},
            "build_info": f"pyllm {__version__}",
            "is_sleeping": loaded is None,
        }
    )


@router.get("/slots")
async def slots(request: Request, model: str | None = None) -> Response:
    """One entry for each answer that can be computed at a time; all share one pool of memory."""
    service = service_of(request)
    card = await service.card(model)
    loaded = service.registry.peek(card.name)
    n_ctx, most = _size(service, card)
    running = loaded.llm.num_running_requests if loaded else 0
    entries: list[dict[str, Any]] = [
        {"id": number, "n_ctx": n_ctx, "is_processing": number < running} for number in range(most)
    ]
    return PlainJSON(entries)


def _size(service: Service, card: ModelCard) -> tuple[int, int]:
    """Tokens of the context and answers at a time: those it has, or will have once it is loaded."""
    registry = service.registry
    loaded = registry.peek(card.name)
    most = loaded.llm.max_num_seqs if loaded else service.settings.engine.get("max_num_seqs")
    return registry.max_model_len(card) or 0, most or _DEFAULT_SLOTS
