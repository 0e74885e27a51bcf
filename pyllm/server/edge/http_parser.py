"""HTTP/1.1 as h11 reads it, minus what proxies and servers read differently.

h11 refuses most of what request smuggling is made of: bad or conflicting Content-Length, any
Transfer-Encoding but chunked, spaces before a colon, bare CR, NUL. Refused here on top of that:
Content-Length beside Transfer-Encoding, Transfer-Encoding in HTTP/1.0, a target that is not a
path, a second request before the first is answered, and heads and bodies that cost too much.
"""

from __future__ import annotations

import h11

from pyllm.server.edge.refusal import Refusal
from pyllm.server.edge.settings import EdgeSettings

# A body in pieces of one byte costs six times its size in traffic and a Python event per byte:
# 256 KiB of it would hold up the event loop for half a second.
_FREE_CHUNKS = 1024
_MIN_AVERAGE_CHUNK = 64

_Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class StrictConnection(h11.Connection):
    """The server's side of one connection. `refusal` says why next_event raised."""

    def __init__(self, settings: EdgeSettings) -> None:
        max_head = settings.max_uri_bytes + settings.max_header_bytes
        super().__init__(h11.SERVER, max_incomplete_event_size=max_head)
        self._settings = settings
        self._max_head = max_head
        self._pipelined = False
        self._num_chunks = 0
        self._num_bytes = 0
        self.refusal = _BAD_REQUEST

    def next_event(self) -> _Event:
        """As h11's. Raises h11.RemoteProtocolError, after which the connection must be closed."""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                self.refusal = self._head_too_large()
            raise
        try:
            return self._checked(event)
        except Refusal as refusal:
            self.refusal = refusal
            raise h11.RemoteProtocolError(refusal.message, refusal.status) from None

    def _checked(self, event: _Event) -> _Event:
        if isinstance(event, h11.Request):
            self._check_head(event)
            self._num_chunks = self._num_bytes = 0
        elif isinstance(event, h11.Data):
            self._check_chunks(event)
        elif event is h11.PAUSED:
            return self._hold_pipelined()
        return event

    def _check_head(self, request: h11.Request) -> None:
        if self._pipelined:
            raise Refusal(400, "pipelining", "a request came before the last one was answered")
        if len(request.target) > self._settings.max_uri_bytes:
            limit = self._settings.max_uri_bytes
            raise Refusal(414, "uri_too_long", f"the URI is longer than {limit} bytes")
        size = sum(len(name) + len(value) + 4 for name, value in request.headers)  # ": " and CRLF
        if len(request.headers) > self._settings.max_headers or size > (
            self._settings.max_header_bytes
        ):
            raise self._head_too_large()
        if not request.target.startswith(b"/"):
            raise Refusal(400, "bad_request", "the request target must be a path")
        names = [name for name, _ in request.headers]
        if b"transfer-encoding" in names and (
            b"content-length" in names or request.http_version < b"1.1"
        ):
            raise Refusal(400, "bad_request", "Transfer-Encoding contradicts another header")

    def _check_chunks(self, data: h11.Data) -> None:
        self._num_chunks += 1
        self._num_bytes += len(data.data)
        if self._num_chunks > _FREE_CHUNKS + self._num_bytes // _MIN_AVERAGE_CHUNK:
            raise Refusal(400, "chunks_too_small", "the body comes in too many tiny pieces")

    def _hold_pipelined(self) -> _Event:
        """Bytes after a complete request wait, to be refused when it has been answered.

        NEED_DATA instead of PAUSED keeps the server reading, or it would not notice that the
        client has left.
        """
        self._pipelined = True
        if len(self.trailing_data[0]) > self._max_head:
            raise Refusal(400, "pipelining", "a request came before the last one was answered")
        return h11.NEED_DATA

    def _head_too_large(self) -> Refusal:
        limits = f"{self._settings.max_headers} headers of {self._settings.max_header_bytes} bytes"
        return Refusal(431, "headers_too_large", f"the request has more than {limits} in all")


_BAD_REQUEST = Refusal(400, "bad_request", "this is not a valid HTTP request")
