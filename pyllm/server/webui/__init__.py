"""The chat page at `/`: files that Vite built from `src/` (scripts/webui), served from memory.

No answer depends on the request but for its compression, and no name reaches the file system: what
is not in the table is 404. The page itself holds no secret.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data:",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
)
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # frame-ancestors for browsers of before 2018
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}
REVALIDATED = "no-cache"
MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
IMMUTABLE = "public, max-age=31536000, immutable"  # a year: the name changes with the content


@dataclass(frozen=True)
class PageFile:
    """One file of the page, as it is and compressed."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str

    def response(self, request: Request, cache: str) -> Response:
        headers = {**PAGE_HEADERS, "Cache-Control": cache, "ETag": self.etag}
        if request.headers.get("If-None-Match") == self.etag:
            return Response(status_code=304, headers=headers)
        content = self.content
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            content = self.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=self.media_type, headers=headers)


def routes() -> list[BaseRoute]:
    """`GET /` and `GET /assets/{name}`, to be added to a Starlette or FastAPI application.

    Reads the files at once (about 30 ms with their compression), so that no request waits for it.
    """
    dist = resources.files(__package__) / "dist"
    index = _read(dist / "index.html")
    assets = {asset.name: _read(asset) for asset in (dist / "assets").iterdir()}

    async def page(request: Request) -> Response:
        return index.response(request, REVALIDATED)

    async def asset(request: Request) -> Response:
        found = assets.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "the page has no such file")
        return found.response(request, IMMUTABLE)

    return [
        Route("/", page, methods=["GET"], include_in_schema=False),
        Route("/assets/{name}", asset, methods=["GET"], include_in_schema=False),
    ]


def _read(file: Traversable) -> PageFile:
    content = file.read_bytes()
    media_type = MEDIA_TYPES[file.name.rpartition(".")[2]]
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(content, gzip.compress(content, 9, mtime=0), media_type, etag)
