"""/docs: every route with its fields, from the OpenAPI document; no script, no other host."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pyllm.server.docs_page.page import page

router = APIRouter(include_in_schema=False)

_STYLE = (files(__name__) / "style.css").read_bytes()


@router.get("/docs")
async def docs(request: Request) -> Response:
    headers = {"content-security-policy": "default-src 'self'; frame-ancestors 'none'"}
    return HTMLResponse(page(request.app.openapi()), headers=headers)


@router.get("/docs/style.css")
async def style() -> Response:
    return Response(_STYLE, media_type="text/css")
