"""/api/tags, /api/show, /api/ps, /api/version, and what this server does not do."""

from __future__ import annotations

import hashlib
import math
import time
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm import __version__
from pyllm.errors import ModelFileError
from pyllm.server.body import StrictRoute
from pyllm.server.errors import ApiError
from pyllm.server.model_card import ModelCard
from pyllm.server.ollama.protocol import ManageRequest, ShowRequest
from pyllm.server.ollama.schemas import Error, refusals
from pyllm.server.ollama.writing import tagged, timestamp
from pyllm.server.openai.common import PlainJSON, service_of
from pyllm.tool_calls.formats.table import detect_calls
from pyllm.tool_calls.reasoning import detect_reasoning

router = APIRouter(route_class=StrictRoute, tags=["Ollama"], responses=refusals())

_INTERFACE = "0.12.0"  # of the Ollama whose routes these are
_NEVER_EXPIRES = 10 * 365 * 86400.0  # seconds: clients compute with the date
_BILLION, _MILLION = 10**9, 10**6


@router.head("/api/version", include_in_schema=False)  # Ollama's clients knock so
@router.get("/api/version")
async def version() -> Response:
    """Of Ollama's interface, which clients compare with what they need; /version is pyllm's."""
    return PlainJSON({"version": _INTERFACE, "pyllm": __version__})


@router.head("/api/tags", include_in_schema=False)
@router.get("/api/tags")
async def tags(request: Request) -> Response:
    """The models of this server; a file that cannot be read is left out."""
    registry = service_of(request).registry
    found = []
    for name in registry.names():
        try:
            found.append(_listed(await registry.card(name)))
        except (ModelFileError, OSError):
            continue
    return PlainJSON({"models": found})


@router.get("/api/ps")
async def running(request: Request) -> Response:
    """The models that are loaded."""
    registry = service_of(request).registry
    found = []
    for name, llm, expires_in in list(registry.loaded()):
        card = await registry.card(name)
        listed = _listed(card)
        del listed["modified_at"]
        seconds = min(expires_in, _NEVER_EXPIRES)
        listed["size"] = card.file_bytes + llm.kv_cache_bytes
        listed["expires_at"] = timestamp(time.time() + seconds)
        listed["size_vram"] = 0
        listed["context_length"] = llm.model.max_model_len
        found.append(listed)
    return PlainJSON({"models": found})


@router.post("/api/show")
async def show(body: ShowRequest, request: Request) -> Response:
    """What a model's file says of itself."""
    card = await service_of(request).card(body.model)
    info = {key: value for key, value in card.metadata.items() if _is_short(value)}
    info["general.parameter_count"] = card.parameters
    return PlainJSON(
        {
            "modelfile": f"FROM {tagged(card.name)}",
            "parameters": "\n".join(f"{name} {value}" for name, value in card.sampling.items()),
            "template": card.chat_template or "",
            "details": _details(card),
            "model_info": info,
            "capabilities": _capabilities(card),
            "modified_at": timestamp(card.modified),
        }
    )


_NOT_HERE = "models are files that this server was started with; it does not change them"
_NOT_DONE: dict[int | str, dict[str, Any]] = {501: {"model": Error, "description": _NOT_HERE}}


@router.post("/api/pull", responses=_NOT_DONE)
@router.post("/api/push", responses=_NOT_DONE)
@router.post("/api/create", responses=_NOT_DONE)
@router.post("/api/copy", responses=_NOT_DONE)
async def manage(body: ManageRequest, request: Request) -> Response:
    """Succeeds for a model that is here, when it is pulled; nothing is ever downloaded."""
    registry = service_of(request).registry
    if request.url.path == "/api/pull" and body.model and registry.knows(body.model):
        return PlainJSON({"status": "success"})
    raise ApiError(501, _NOT_HERE, "not_supported")


@router.delete("/api/delete", responses=_NOT_DONE)
async def delete() -> Response:
    raise ApiError(501, _NOT_HERE, "not_supported")


def _is_short(value: Any) -> bool:
    return not isinstance(value, str) or len(value) <= 4096


def _listed(card: ModelCard) -> dict[str, Any]:
    identity = f"{card.name}\0{card.file_bytes}\0{card.modified}".encode()
    return {
        "name": tagged(card.name),
        "model": tagged(card.name),
        "modified_at": timestamp(card.modified),
        "size": card.file_bytes,
        # Of name, size and date: hashing the file itself would read all of it.
        "digest": hashlib.sha256(identity).hexdigest(),
        "details": _details(card),
    }


def _details(card: ModelCard) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": card.architecture,
        "families": [card.architecture],
        "parameter_size": _parameter_size(card.parameters),
        "quantization_level": card.file_type,
    }


def _parameter_size(parameters: int) -> str:
    """As Ollama writes it: "1.2B", "596M"."""
    if parameters >= _BILLION:
        return f"{parameters / _BILLION:.1f}B"
    return f"{math.ceil(parameters / _MILLION)}M"


def _capabilities(card: ModelCard) -> list[str]:
    # As Ollama tells them apart: who says how to pool is made for it.
    embeds = f"{card.architecture}.pooling_type" in card.metadata
    found = ["embedding" if embeds else "completion"]
    if card.chat_template and detect_calls(card.chat_template):
        found.append("tools")
    if card.chat_template and detect_reasoning(card.chat_template):
        found.append("thinking")
    return found
