"""Is the process alive, is a model ready: for load balancers and people."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm import __version__
from pyllm.server.openai.common import PlainJSON, service_of

router = APIRouter(tags=["server"])


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health() -> Response:
    """200 while the process answers: it waits for nothing."""
    return PlainJSON({"status": "ok"})


@router.head("/ready", include_in_schema=False)
@router.get("/ready", responses={503: {"description": "not yet, or not any more"}})
async def ready(request: Request) -> Response:
    """200 when requests are taken; 503 until a model has been loaded and while shutting down."""
    registry = service_of(request).registry
    if registry.closed:
        return PlainJSON({"status": "shutting down"}, 503)
    if service_of(request).settings.preload and not registry.has_loaded:
        status = "loading failed" if registry.has_failed_to_load else "loading"
        return PlainJSON({"status": status}, 503)
    return PlainJSON({"status": "ok", "models": [name for name, _, _ in registry.loaded()]})


@router.get("/version")
async def version() -> Response:
    return PlainJSON({"version": __version__})
