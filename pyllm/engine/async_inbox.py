"""Reports on their way from the engine's thread to tasks of an event loop."""

from __future__ import annotations

import asyncio
import threading
from copy import copy

from pyllm.engine.thread import Message
from pyllm.outputs import CompletionOutput, RequestOutput
from pyllm.sampling.params import RequestOutputKind


class LoopMailbox:
    """All inboxes of one event loop: a step with news for 64 of them wakes the loop once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.lock = threading.Lock()
        self._ready: list[AsyncInbox] = []
        self._called = False  # the loop was told and has not looked yet

    def announce(self, inbox: AsyncInbox) -> None:
        """`inbox` has news; called with the lock held. RuntimeError when the loop is closed."""
        if self._loop.is_closed():
            raise RuntimeError("the event loop is closed")
        self._ready.append(inbox)
        if not self._called:
            self._loop.call_soon_threadsafe(self._distribute)
            self._called = True

    def _distribute(self) -> None:
        with self.lock:
            ready, self._ready = self._ready, []
            self._called = False
            for inbox in ready:
                inbox.wake()


class AsyncInbox:
    """Holds at most one report: what its reader has not fetched yet is merged into it."""

    def __init__(self, mailbox: LoopMailbox, output_kind: RequestOutputKind) -> None:
        self._mailbox = mailbox
        self._adds_up = output_kind is RequestOutputKind.DELTA
        self._output: RequestOutput | None = None
        self._error: Exception | None = None
        self._announced = False
        self._news = asyncio.Event()

    def put(self, message: Message) -> None:
        """Called on the engine's thread."""
        with self._mailbox.lock:
            if isinstance(message, Exception):
                self._error = message
            elif self._output is None or not self._adds_up:
                self._output = message
            else:
                self._output = merged(self._output, message)
            if not self._announced:
                self._mailbox.announce(self)
                self._announced = True

    @property
    def failed(self) -> bool:
        """Whether the engine reported an error: the request's last message."""
        return self._error is not None

    def wake(self) -> None:
        """Called on the loop's thread, with the mailbox's lock held."""
        self._announced = False
        self._news.set()

    async def get(self) -> RequestOutput:
        """The next report. Raises what ended the request, after what was reported before."""
        while (output := self._take()) is None:
            await self._news.wait()
            self._news.clear()
        return output

    def _take(self) -> RequestOutput | None:
        with self._mailbox.lock:
            output, self._output = self._output, None
            if output is None and self._error is not None:
                # A copy: several readers may hear the same error, each with a traceback of its own.
                raise copy(self._error)
            return output


def merged(old: RequestOutput, new: RequestOutput) -> RequestOutput:
    """Two reports of news as one; changes both."""
    parts = {part.index: part for part in old.outputs}
    for part in new.outputs:
        if part.index in parts:
            _extend(parts[part.index], part)
        else:
            parts[part.index] = part
    new.outputs = list(parts.values())
    return new


def _extend(old: CompletionOutput, new: CompletionOutput) -> None:
    old.text += new.text
    old.token_ids += new.token_ids
    if old.logprobs is not None and new.logprobs is not None:
        old.logprobs.extend(new.logprobs)  # type: ignore[arg-type]  # both are of one kind
    old.cumulative_logprob = new.cumulative_logprob
    old.finish_reason, old.stop_reason = new.finish_reason, new.stop_reason
