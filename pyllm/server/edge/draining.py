"""Stopping without cutting anybody off: no new work, what runs is finished, then the rest is told.

Three phases: serving; draining (`begin`): new requests get 503 and those in flight go on; cut
(`cut`): what has not begun to answer gets 503 too, and streams end themselves with an error event.
"""

from __future__ import annotations

import asyncio
import math
import time

from pyllm.server.edge.asgi import App, Message, Receive, Scope, Send
from pyllm.server.edge.refusal import Refusal, RenderRefusal, send_refusal

_ALWAYS_ANSWERED = ("/health", "/metrics")  # whoever watches the drain


class Draining:
    """Shared by the runner, the edge and every stream of one server.

    A stream looks at `is_cut` between its events, or awaits `wait_cut` beside its next one, and
    then ends with an error event in its dialect.

    timeout_s  how long requests in flight may go on after `begin`
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._deadline: float | None = None  # monotonic; None while serving
        self._cut = asyncio.Event()
        self._in_flight: set[_InFlight] = set()

    @property
    def is_draining(self) -> bool:
        return self._deadline is not None

    @property
    def is_cut(self) -> bool:
        return self._cut.is_set()

    @property
    def num_in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def remaining_s(self) -> float:
        """Seconds until requests in flight are cut; the whole time-out while serving."""
        if self._deadline is None:
            return self.timeout_s
        return max(0.0, self._deadline - time.monotonic())

    def begin(self) -> None:
        """Safe in a signal handler; a second call does nothing."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self.timeout_s

    def cut(self) -> None:
        """Ends what is left. Call it in the event loop's thread."""
        self.begin()
        self._cut.set()
        for request in self._in_flight:
            request.cancel_unanswered()

    async def wait_cut(self) -> None:
        """Returns when streams must end themselves."""
        await self._cut.wait()

    def enter(self, request: _InFlight) -> None:
        self._in_flight.add(request)

    def leave(self, request: _InFlight) -> None:
        self._in_flight.discard(request)

    def refusal(self) -> Refusal:
        """503 with the seconds that are left as Retry-After."""
        retry_after = str(max(1, math.ceil(self.remaining_s)))
        text = "the server is shutting down; try again later"
        return Refusal(503, "shutting_down", text, headers=(("retry-after", retry_after),))


class _InFlight:
    """A request that the application works on."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._task = asyncio.current_task()
        self._answered = False
        self.cancelled = False

    async def send(self, message: Message) -> None:
        self._answered = True
        await self._send(message)

    def cancel_unanswered(self) -> None:
        if not self._answered and not self.cancelled and self._task is not None:
            self.cancelled = True
            self._task.cancel()

    def withdraw_cancel(self) -> None:
        if self._task is not None:
            self._task.uncancel()


class DrainGate:
    """Counts what is in flight, and refuses what comes while draining. /ready is refused too."""

    def __init__(self, app: App, draining: Draining, render: RenderRefusal) -> None:
        self._app = app
        self._draining = draining
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        if self._draining.is_draining:
            await self._refuse(scope, send)
            return
        request = _InFlight(send)
        self._draining.enter(request)
        try:
            await self._app(scope, receive, request.send)
        except asyncio.CancelledError:
            if not request.cancelled:
                raise
            request.withdraw_cancel()
            await self._refuse(scope, send)
        finally:
            self._draining.leave(request)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        await send_refusal(scope, send, self._draining.refusal(), self._render, close=True)
