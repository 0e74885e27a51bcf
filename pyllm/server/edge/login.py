"""The page that asks a browser for a key, and the form it sends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from urllib.parse import parse_qs

from pyllm.server.edge.asgi import Headers, Receive, Scope, Send, header

_MAX_FORM_BYTES = 4096
_FORM_TIMEOUT_S = 10.0

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;"
    "margin:0}"
    "form{display:grid;gap:.75rem;width:min(20rem,90vw)}"
    "input,button{font:inherit;padding:.5rem .75rem;border-radius:.5rem;border:1px solid #888}"
    "p{margin:0;min-height:1.5em;color:#c33}"
)
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>pyllm: log in</title>
<style>{style}</style>
<form method="post" action="/login">
<label for="key">API key of this server</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
<p role="alert">{message}</p>
</form>
</html>
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


async def answer_login_page(send: Send, message: str = "") -> None:
    """401 with the form in it. `message` is one of our own texts: it is not escaped."""
    body = _PAGE.format(style=_STYLE, message=message).encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", _POLICY.encode()),
        # "no-referrer" would make the form's Origin "null", which is refused.
        (b"referrer-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
        (b"www-authenticate", b"Bearer"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def redirect_to_page(send: Send, headers: Headers) -> None:
    """Always to the front page: a target taken from the request could lead anywhere."""
    to_page = [(b"location", b"/"), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    start = {"type": "http.response.start", "status": 303, "headers": [*to_page, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": b""})


async def read_login_form(scope: Scope, receive: Receive) -> bytes:
    """The key in the form, empty when the body is not such a form or does not come in time."""
    content_type = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if content_type != b"application/x-www-form-urlencoded":
        return b""
    body = bytearray()
    try:
        async with asyncio.timeout(_FORM_TIMEOUT_S):
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > _MAX_FORM_BYTES:
                    return b""
    except TimeoutError:
        return b""
    fields = parse_qs(body.decode("ascii", "replace"), max_num_fields=8, errors="replace")
    return fields.get("key", [""])[0].encode()
