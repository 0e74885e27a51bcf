"""GET /metrics. A key is required like anywhere else: the edge sees to it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.server.metrics.server_metrics import CONTENT_TYPE, ServerMetrics

router = APIRouter(tags=["server"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
)
async def metrics(request: Request) -> Response:
    """Counters of the server and its models, for Prometheus."""
    counted: ServerMetrics = request.app.state.metrics
    return Response(await counted.page(), headers={"content-type": CONTENT_TYPE})
