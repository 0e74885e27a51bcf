"""Which bodies are taken: JSON, uploads, and nothing that a web page can send unasked."""

from __future__ import annotations

from pyllm.server.edge.asgi import Scope, header, header_values
from pyllm.server.edge.refusal import Refusal

_JSON = (b"application/json", b"application/x-ndjson")
# What curl sends with -d, and what a plain socket sends.
_UNDECLARED = (b"application/x-www-form-urlencoded", b"")
_FROM_BROWSER = (b"origin", b"sec-fetch-site", b"referer")


def check_content_type(scope: Scope, *, upload: bool) -> None:
    """Raises Refusal (415) for a body that is compressed or of another type.

    A page of any origin may make a browser post text/plain, a form, or no type at all, without
    asking the server first. Origin stops those; this stops them a second time. A body without a
    right type is read as JSON only when nothing says that a browser sent it, so that `curl -d`
    works as people know it.
    """
    encodings = [value.strip().lower() for value in header_values(scope, b"content-encoding")]
    if any(encoding not in (b"", b"identity") for encoding in encodings):
        text = "compressed bodies are not taken; send it without Content-Encoding"
        raise Refusal(415, "unsupported_content_encoding", text)
    if not has_body(scope):
        return
    if len(header_values(scope, b"content-type")) > 1:
        raise Refusal(415, "unsupported_media_type", "Content-Type was sent twice")
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind in _JSON or (kind.startswith(b"application/") and kind.endswith(b"+json")):
        return
    if upload and kind == b"multipart/form-data":
        return
    browser = any(header_values(scope, name) for name in _FROM_BROWSER)
    if kind in _UNDECLARED and not browser:
        return
    wanted = "multipart/form-data" if upload else "application/json"
    raise Refusal(415, "unsupported_media_type", f"Content-Type must be {wanted}")


def has_body(scope: Scope) -> bool:
    """Whether the head announces one, of whatever length."""
    chunked = header_values(scope, b"transfer-encoding")
    return bool(chunked) or declared_length(scope) > 0


def declared_length(scope: Scope) -> int:
    """Content-Length; 0 when there is none. The connection has checked that it is a number."""
    return int(header(scope, b"content-length") or 0)
