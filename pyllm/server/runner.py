"""Runs the server: listens, tells where, and on a signal stops without cutting anybody off.

SIGTERM or SIGINT: /ready and new requests get 503 at once; requests in flight have
`shutdown_timeout_s` to finish; then streams end with an error event and what has not begun to
answer gets 503; the process ends with code 0. A second signal ends it at once.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from pyllm.server.edge.asgi import App
from pyllm.server.edge.connection import EdgeConfig
from pyllm.server.edge.draining import Draining
from pyllm.server.edge.refusal import RenderRefusal
from pyllm.server.edge.settings import EdgeSettings
from pyllm.server.listening import check_exposure, open_sockets, remove_unix_socket
from pyllm.server.startup_block import ServerFacts, startup_block

_CUT_GRACE_S = 2.0  # for streams to write their last event
_CLOSE_GRACE_S = 1  # for clients to read it
_OTHER_FILES = 128  # model files, caches, logs: not for connections
_FEWEST_CONNECTIONS = 16


def serve(
    app: App,
    settings: EdgeSettings,
    draining: Draining,
    render: RenderRefusal,
    facts: Callable[[], ServerFacts],
    announce: Callable[[str], None],
) -> int:
    """Serves until a signal has been obeyed, and returns the exit code.

    app       as `edge.wrap` returned it, with the same settings, draining and render
    facts     asked once the application has started
    announce  gets the start-up block

    Raises RequestError when the server may not or cannot listen where it should. Call it in the
    main thread: signals arrive there.
    """
    check_exposure(settings)
    sockets = open_sockets(settings)
    config = EdgeConfig(
        app,
        settings,
        render,
        _max_connections(settings),
        loop="asyncio",
        lifespan="on",
        timeout_graceful_shutdown=_CLOSE_GRACE_S,
    )
    server = _Server(
        config, settings, draining, lambda: announce(startup_block(settings, sockets, facts()))
    )
    try:
        server.run(sockets=sockets)
    finally:
        for listening in sockets:
            listening.close()
        remove_unix_socket(settings)
    return 0


class _Server(uvicorn.Server):
    """uvicorn's server with another way to end."""

    def __init__(
        self,
        config: EdgeConfig,
        settings: EdgeSettings,
        draining: Draining,
        on_started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._edge = settings
        self._draining = draining
        self._on_started = on_started
        self._cut_at: float | None = None  # monotonic

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """The signal handler. Unlike uvicorn's it keeps listening, so that /ready can say no."""
        if self._draining.is_draining:
            _end_now(sig, self._edge)
        self._draining.begin()
        _write_line(_stopping_line(self._draining, sig))

    async def on_tick(self, counter: int) -> bool:
        """uvicorn asks ten times a second whether to go on."""
        if self._draining.is_draining and self._is_drained():
            self.should_exit = True
        return await super().on_tick(counter)

    def _is_drained(self) -> bool:
        if self._draining.num_in_flight == 0:
            return True
        if self._draining.remaining_s > 0:
            return False
        if self._cut_at is None:
            self._cut_at = time.monotonic()
            self._draining.cut()
        return time.monotonic() - self._cut_at > _CUT_GRACE_S


def _stopping_line(draining: Draining, sig: int) -> str:
    number = draining.num_in_flight
    if number == 0:
        return "pyllm: stopping"
    requests = "1 request has" if number == 1 else f"{number} requests have"
    again = "Ctrl-C again" if sig == signal.SIGINT else "a second signal"
    return f"pyllm: stopping; {requests} {draining.timeout_s:g} s to finish, {again} ends all now"


def _end_now(sig: int, settings: EdgeSettings) -> None:
    # A computation in another thread would hold up an orderly exit; files on disk survive this.
    remove_unix_socket(settings)
    _write_line("pyllm: stopped at once")
    os._exit(128 + sig)


def _write_line(text: str) -> None:
    # A signal may arrive inside a write to sys.stderr, which cannot be entered twice.
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{text}\n".encode())


def _max_connections(settings: EdgeSettings) -> int:
    """As configured, but never so many that accept() would run out of file descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return settings.max_connections
    return min(settings.max_connections, max(_FEWEST_CONNECTIONS, soft - _OTHER_FILES))
