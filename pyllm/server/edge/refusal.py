"""A request that the edge refuses, and the answer it gets."""

from __future__ import annotations

from collections.abc import Callable

from pyllm.server.edge.asgi import Headers, Scope, Send


class Refusal(Exception):
    """Why a request is refused, before any dialect puts it into words.

    status   HTTP status code
    code     for programs: "invalid_api_key", "body_too_large", …
    message  for people, one line; never holds what a secret or a path could be in
    param    field at fault, None when there is none
    headers  more of the answer's headers
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(status, code, message, param, headers)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = headers

    def __str__(self) -> str:
        return self.message


# The body, in the dialect of the path it was sent to ("" when no path was understood); asked once
# for each refusal.
RenderRefusal = Callable[[str, Refusal], bytes]


def refusal_headers(refusal: Refusal, body: bytes, *, close: bool = False) -> Headers:
    """Headers of a JSON answer; `close` ends the connection after it."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((name.encode(), value.encode()) for name, value in refusal.headers),
    ]
    return [*headers, (b"connection", b"close")] if close else headers


async def send_refusal(
    scope: Scope, send: Send, refusal: Refusal, render: RenderRefusal, *, close: bool = False
) -> None:
    """Answers with it; `close` ends the connection after it."""
    body = render(scope["path"], refusal)
    headers = refusal_headers(refusal, body, close=close)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
