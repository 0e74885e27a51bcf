"""/props and /slots."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm import __version__
from pyllm.server.body import StrictRoute
from pyllm.server.lease_guard import released_after
from pyllm.server.model_registry import Lease
from pyllm.server.openai.common import PlainJSON, service_of
from pyllm.server.openai.schemas import refusals

router = APIRouter(route_class=StrictRoute, tags=["llama-server"], responses=refusals())


@router.get("/props")
async def props(request: Request, model: str | None = None) -> Response:
    """What clients ask before they begin: context, template, marks."""
    lease = await service_of(request).lease(model)
    with released_after(lease):
        return PlainJSON(_props(lease))


def _props(lease: Lease) -> dict[str, Any]:
    tokenizer, model = lease.llm.get_tokenizer(), lease.llm.model
    return {
        "default_generation_settings": {
            "n_ctx": model.max_model_len,
            "params": dict(lease.card.sampling),
        },
        "total_slots": lease.llm.max_num_seqs,
        "model_alias": lease.name,
        "chat_template": lease.card.chat_template or "",
        "bos_token": _text(tokenizer, tokenizer.bos_id),
        "eos_token": _text(tokenizer, tokenizer.eos_id),
        "modalities": {"vision": False, "audio": False},
        "build_info": f"pyllm {__version__}",
    }


def _text(tokenizer: Any, token: int | None) -> str:
    return "" if token is None else tokenizer.token_bytes(token).decode("utf-8", "replace")


@router.get("/slots")
async def slots(request: Request, model: str | None = None) -> Response:
    """One entry for each answer that can be computed at a time; all share one pool of memory."""
    lease = await service_of(request).lease(model)
    with released_after(lease):
        running, most = lease.llm.num_running_requests, lease.llm.max_num_seqs
        n_ctx = lease.llm.model.max_model_len
        return PlainJSON(
            [
                {"id": number, "n_ctx": n_ctx, "is_processing": number < running}
                for number in range(most)
            ]
        )
