"""The Origin header: which web pages may call, and what CORS tells their browsers.

A browser sends Origin with every request that a page of another origin makes and that could
change or reveal something. Without --allowed-origin only this server's own pages pass, and no
answer carries a CORS header. Never `*`, never credentials.
"""

from __future__ import annotations

import re

from pyllm.errors import RequestError
from pyllm.server.edge.asgi import (
    App,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    header,
    header_values,
)
from pyllm.server.edge.hosts import split_authority
from pyllm.server.edge.refusal import Refusal, RenderRefusal, send_refusal
from pyllm.server.edge.settings import EdgeSettings

_ORIGIN = re.compile(rb"([a-z][a-z0-9+.-]*)://([^/?#@\s]+)")
_HEADER_NAMES = re.compile(rb"[A-Za-z0-9-]+(?:[ \t]*,[ \t]*[A-Za-z0-9-]+)*")
_DEFAULT_PORTS = {b"http": 80, b"https": 443}
_MAX_AGE_S = b"600"


class OriginCheck:
    """Refuses requests from pages of other origins, except those of --allowed-origin."""

    def __init__(self, app: App, settings: EdgeSettings, render: RenderRefusal) -> None:
        self._app = app
        self._render = render
        self._allowed = {_checked(origin) for origin in settings.allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origins = header_values(scope, b"origin")
        if not origins and not _is_cross_site_write(scope):
            await self._app(scope, receive, self._varying(send))
        elif len(origins) == 1 and origins[0] in self._allowed:
            await self._answer_allowed(scope, receive, send, origins[0])
        elif len(origins) == 1 and _is_same_origin(scope, origins[0]):
            await self._app(scope, receive, self._varying(send))
        else:
            text = "web pages of this origin may not call; --allowed-origin ORIGIN lets one in"
            refusal = Refusal(403, "origin_not_allowed", text)
            await send_refusal(scope, self._varying(send), refusal, self._render)

    async def _answer_allowed(
        self, scope: Scope, receive: Receive, send: Send, origin: bytes
    ) -> None:
        if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
            await _answer_preflight(scope, send, origin)
            return
        headers = [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"x-request-id, request-id, retry-after"),
            (b"vary", b"origin"),
        ]
        await self._app(scope, receive, _adding(send, headers))

    def _varying(self, send: Send) -> Send:
        # A cache between must not hand one origin the answer that was made for another.
        return _adding(send, [(b"vary", b"origin")]) if self._allowed else send


def _adding(send: Send, headers: Headers) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *headers]
        await send(message)

    return send_with_headers


async def _answer_preflight(scope: Scope, send: Send, origin: bytes) -> None:
    """Says what may be sent; it carries no key, and tells nothing about routes."""
    headers = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-max-age", _MAX_AGE_S),
        (b"vary", b"origin, access-control-request-headers"),
    ]
    # The official clients send a dozen x-stainless-* headers; the origin is trusted by name.
    wanted = header(scope, b"access-control-request-headers") or b""
    if _HEADER_NAMES.fullmatch(wanted):
        headers.append((b"access-control-allow-headers", wanted))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _is_same_origin(scope: Scope, origin: bytes) -> bool:
    """Same name and port as in Host. An https page is at home on http: TLS may end in a proxy."""
    match = _ORIGIN.fullmatch(origin)
    host = header(scope, b"host")
    if match is None or host is None:
        return False
    scheme = match[1]
    if scheme not in _DEFAULT_PORTS or (scheme == b"http" and scope["scheme"] == "https"):
        return False
    return _authority(match[2], scheme) == _authority(host, scheme)


def _authority(text: bytes, scheme: bytes) -> tuple[str, int]:
    name, port = split_authority(text)
    return name, _DEFAULT_PORTS[scheme] if port is None else port


def _is_cross_site_write(scope: Scope) -> bool:
    """Browsers that leave out Origin still say where a request comes from."""
    writes = scope["method"] not in ("GET", "HEAD")
    return writes and header(scope, b"sec-fetch-site") in (b"cross-site", b"same-site")


def _checked(origin: str) -> bytes:
    match = _ORIGIN.fullmatch(origin.encode("ascii", "replace"))
    if match is None or not split_authority(match[2])[0]:
        raise RequestError("allowed_origins", origin, "must look like https://chat.example.com")
    return match[0]
