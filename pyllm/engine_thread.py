"""One thread owns the engine; any number of threads hand it requests and read their own inbox.

Callers share batches without locks around the engine, and a Ctrl-C, which Python delivers to the
main thread, can never cut a step in half.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from pyllm.engine import Engine
from pyllm.errors import PyLLMError
from pyllm.outputs import RequestOutput
from pyllm.queue_limits import QueueLimits
from pyllm.request import Request

_log = logging.getLogger(__name__)

# What arrives for a request: reports, or the error that ended it.
Message: TypeAlias = RequestOutput | PyLLMError


class Inbox(Protocol):
    """Where the messages of a request go. `put` runs on the engine's thread and must not wait.

    A failing `put` ends the request: nobody can hear of it any more.
    """

    def put(self, message: Message) -> None: ...


_Command: TypeAlias = Callable[["_Service"], None]
_Commands: TypeAlias = "queue.SimpleQueue[_Command | None]"


class EngineThread:
    """Runs steps while there is work; idles on its queue otherwise.

    `limits` bound the queue of requests submitted with `refusable`; others wait without limit,
    in the memory of a caller who waits too.
    """

    def __init__(self, engine: Engine, limits: QueueLimits | None = None) -> None:
        self._engine: Engine | None = engine  # None once closed
        self.limits = limits or QueueLimits(None, None)
        # SimpleQueue.put is reentrant: abort may be called by a generator's finalizer, in the
        # middle of anything, even on the engine thread itself.
        self._commands: _Commands = queue.SimpleQueue()
        self._process = os.getpid()  # the thread does not follow into a forked child
        self._lock = threading.Lock()  # orders submit before or after close, never across it
        service = _Service(engine, self.limits, self._commands)
        self._thread = threading.Thread(target=service.run, name="pyllm-engine", daemon=True)
        self._thread.start()
        # Also at interpreter exit: a step must not run while the interpreter is taken down.
        interrupt = engine.model.program.interrupt
        self._finalizer = weakref.finalize(self, _stop, self._thread, self._commands, interrupt)

    def submit(self, requests: list[Request], inbox: Inbox, *, refusable: bool = False) -> None:
        """Start requests; their reports go to `inbox`.

        Raises PyLLMError once closed; QueueFullError, when refusable, and then none is started.
        """
        if self._forked():
            step = "load it in the child process, or start processes with the 'spawn' method"
            raise PyLLMError(f"this LLM was loaded before a fork; {step}")
        with self._lock:
            if self._engine is None:
                raise PyLLMError("this LLM is closed")
            if refusable:
                _enter(self.limits, requests, self._engine)
            self._commands.put(lambda service: service.start(requests, inbox))

    def abort(self, request_ids: Iterable[str]) -> None:
        """Free what the requests hold before the next step; returns at once.

        A step that reads one of their prompts ends early. Their last report is delivered.
        """
        request_ids = list(request_ids)
        self._commands.put(lambda service: service.abort(request_ids))
        engine = self._engine
        if engine is not None:
            engine.interrupt(request_ids)

    def _forked(self) -> bool:
        return os.getpid() != self._process

    def close(self) -> None:
        """Stop after the current op; requests in flight end with an error. May be repeated."""
        if self._forked():  # nothing runs here, and the lock may be held by a thread left behind
            self._finalizer.detach()
            return
        with self._lock:
            self._engine = None
        self._finalizer()


def _enter(limits: QueueLimits, requests: list[Request], engine: Engine) -> None:
    """All of them or none."""
    scheduler = engine.scheduler
    free_places = scheduler.max_num_seqs - len(scheduler.running)
    for number, request in enumerate(requests):
        tokens = len(request.prompt_token_ids) * len(request.continuations)
        try:
            limits.enter(request.request_id, tokens, free_places)
        except PyLLMError:
            for entered in requests[:number]:
                limits.leave(entered.request_id)
            raise


def _stop(thread: threading.Thread, commands: _Commands, interrupt: Callable[[], None]) -> None:
    commands.put(None)
    interrupt()
    # The garbage collector may run this on the engine thread, which cannot wait for itself.
    if thread is not threading.current_thread():
        thread.join()


class _Service:
    """What the thread does."""

    def __init__(self, engine: Engine, limits: QueueLimits, commands: _Commands) -> None:
        self._engine = engine
        self._limits = limits
        self._commands = commands
        self._inboxes: dict[str, Inbox] = {}
        engine.on_start = limits.leave

    def run(self) -> None:
        while True:
            try:
                if not self._obey():
                    break
                self._deliver(self._engine.step(self._has_news))
            except Exception as error:  # a defect of ours: callers hear of it, the engine goes on
                self._engine.reset()
                self._fail_all(_as_pyllm_error(error))
        self._engine.reset()
        self._fail_all(PyLLMError("the LLM was closed before the request was finished"))

    def start(self, requests: list[Request], inbox: Inbox) -> None:
        for request in requests:
            try:
                self._engine.add(request)
            except Exception as error:
                self._limits.leave(request.request_id)
                self._put(inbox, _as_pyllm_error(error))
            else:
                self._inboxes[request.request_id] = inbox

    def abort(self, request_ids: list[str]) -> None:
        for request_id in request_ids:
            self._limits.leave(request_id)
            inbox = self._inboxes.pop(request_id, None)
            output = self._engine.abort(request_id)
            if inbox is not None and output is not None:
                self._put(inbox, output)

    def _has_news(self) -> bool:
        return not self._commands.empty()

    def _obey(self) -> bool:
        """Carry out what callers asked; waits when there is nothing to step. False: stop."""
        while not self._engine.has_unfinished() or not self._commands.empty():
            command = self._commands.get()
            if command is None:
                return False
            command(self)
        return True

    def _deliver(self, outputs: list[RequestOutput]) -> None:
        for output in outputs:
            heard = self._put(self._inboxes[output.request_id], output)
            if output.finished or not heard:
                del self._inboxes[output.request_id]
            if not output.finished and not heard:
                self._engine.abort(output.request_id)

    def _put(self, inbox: Inbox, message: Message) -> bool:
        try:
            inbox.put(message)
        except Exception:
            _log.exception("a report could not be delivered")
            return False
        return True

    def _fail_all(self, error: PyLLMError) -> None:
        for request_id, inbox in self._inboxes.items():
            self._limits.leave(request_id)
            self._put(inbox, error)
        self._inboxes.clear()


def _as_pyllm_error(error: Exception) -> PyLLMError:
    if isinstance(error, PyLLMError):
        return error
    return PyLLMError(f"the engine failed: {type(error).__name__}: {error}")
