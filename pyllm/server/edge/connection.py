"""One connection of uvicorn, with deadlines and refusals that uvicorn does not have."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from pyllm.server.edge.asgi import App
from pyllm.server.edge.http_parser import StrictConnection
from pyllm.server.edge.refusal import Refusal, RenderRefusal, refusal_headers
from pyllm.server.edge.settings import EdgeSettings

# Of an answer that does not fit the buffers, in `unsent_s`: the way from uvicorn's high water mark
# to its low one, so that whoever reads a stream must let it go on once in that time.
_LEAST_TAKEN = 48 * 1024
_LINGER_S = 2.0  # closing with unread bytes resets the connection, and the answer may be lost


class EdgeConfig(uvicorn.Config):
    """uvicorn's configuration for one server behind the edge. No access log: the query string of
    a request may hold what nobody should read; no X-Forwarded-*: anybody could send them."""

    def __init__(
        self,
        app: App,
        settings: EdgeSettings,
        render: RenderRefusal,
        max_connections: int,
        **more: Any,
    ) -> None:
        super().__init__(
            app,
            http=EdgeConnection,
            ws="none",
            log_config=None,
            log_level="error",  # a line for every malformed request would let anybody fill the log
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=settings.keep_alive_s,
            **more,
        )
        self.edge = settings
        self.render = render
        self.max_connections = max_connections
        # Connections without a request in work, the longest idle first.
        self.idle: OrderedDict[EdgeConnection, None] = OrderedDict()


class EdgeConnection(H11Protocol):
    """Adds to uvicorn's: a deadline for the head of every request, a cap on connections, errors
    as JSON, an end to bodies that nobody reads and to answers that nobody reads."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if not isinstance(config, EdgeConfig):
            raise TypeError("EdgeConnection needs an EdgeConfig")
        self._settings = config.edge
        self._render = config.render
        self._max_connections = config.max_connections
        self._idle = config.idle
        self._strict = StrictConnection(config.edge)
        self.conn = self._strict
        self._head_timer: asyncio.TimerHandle | None = None
        self._unsent_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._discarding = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self._set_idle()
        self._expect_head()
        if len(self.connections) > self._max_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        self._unset_keepalive_if_required()
        if self._awaits_head():
            self._expect_head()
        super().data_received(data)
        if self._awaits_head():  # still, or again: the body of an answered request has ended
            self._expect_head()
            self._idle.setdefault(self)
        else:
            self._stop_head_timer()
            self._idle.pop(self, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if self._unsent_timer is not None:
            self._unsent_timer.cancel()
        self._stop_stall_timer()
        self._idle.pop(self, None)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        self._stop_stall_timer()
        super().resume_writing()

    # What uvicorn calls

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's, and says less
        """Every refusal of the parser ends here."""
        self._refuse(self._strict.refusal)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_unsent(self._settings.unsent_s)
        if self.transport.is_closing():
            return
        if self._awaits_head():
            self._set_idle()
        elif self.conn.our_state is h11.DONE:  # answered before the body had come
            cycle = self.cycle
            self.loop.call_later(_LINGER_S, self._close_if_still, cycle)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_unsent(self._settings.unsent_s)

    # Room

    def _set_idle(self) -> None:
        self._idle[self] = None
        self._idle.move_to_end(self)

    def _make_room(self) -> None:
        """The longest idle connection goes; when all are at work, this one."""
        longest = next(iter(self._idle))
        if longest is self:
            text = "the server has as many connections as it can hold; try again"
            retry = (("retry-after", "1"),)
            self._refuse(Refusal(503, "too_many_connections", text, headers=retry))
            return
        self._idle.pop(longest)
        longest.transport.abort()

    # Deadlines

    def _awaits_head(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _expect_head(self) -> None:
        """Starts the deadline once: more bytes of a head do not move it."""
        if self._head_timer is None:
            timeout = self._settings.header_timeout_s
            self._head_timer = self.loop.call_later(timeout, self._give_up_on_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up_on_head(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self._refuse(Refusal(408, "header_timeout", "the request did not arrive in time"))
        else:
            self.transport.close()

    def _close_if_still(self, cycle: object) -> None:
        if self.cycle is cycle and self.conn.their_state is h11.SEND_BODY:
            self.transport.close()

    def _watch_unsent(self, patience_s: float) -> None:
        """Aborts an answer of which the client has taken nothing for `patience_s`."""
        waiting = self.transport.get_write_buffer_size()
        if waiting and self._unsent_timer is None:
            self._unsent_timer = self.loop.call_later(patience_s, self._check_unsent, waiting)

    def _check_unsent(self, waiting_before: int) -> None:
        self._unsent_timer = None
        if self.transport.get_write_buffer_size() >= waiting_before:
            self.transport.abort()
        else:
            self._watch_unsent(self._settings.unsent_s)

    def _watch_stall(self) -> None:
        """While the buffers are full: a client that takes next to nothing is dropped. Closing
        would wait for it, and with it all that the answer holds."""
        waiting = self.transport.get_write_buffer_size()
        patience_s = self._settings.unsent_s
        self._stall_timer = self.loop.call_later(patience_s, self._check_stall, waiting)

    def _check_stall(self, waiting_before: int) -> None:
        if waiting_before - self.transport.get_write_buffer_size() < _LEAST_TAKEN:
            self.transport.abort()
        else:
            self._watch_stall()

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    # Refusing

    def _refuse(self, refusal: Refusal) -> None:
        """Answers if an answer may still begin, then closes once the client has had time to read.

        A request in work sees a client that left.
        """
        self._discarding = True
        self._stop_head_timer()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._write_refusal(refusal)
            self.loop.call_later(_LINGER_S, self.transport.close)
        else:
            self.transport.close()

    def _write_refusal(self, refusal: Refusal) -> None:
        body = self._render("", refusal)
        response = h11.Response(
            status_code=refusal.status,
            headers=refusal_headers(refusal, body, close=True),
            reason=STATUS_PHRASES[refusal.status],
        )
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        if self.transport.can_write_eof():
            self.transport.write_eof()
