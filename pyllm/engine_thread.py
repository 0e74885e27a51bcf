"""One thread owns the engine; any number of threads hand it requests and read their own inbox.

Callers share batches without locks around the engine, and a Ctrl-C, which Python delivers to the
main thread, can never cut a step in half.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable
from typing import TypeAlias

from pyllm.engine import Engine
from pyllm.errors import PyLLMError
from pyllm.outputs import RequestOutput
from pyllm.request import Request

# What arrives for a request: reports, or the error that ended it.
Inbox: TypeAlias = "queue.SimpleQueue[RequestOutput | PyLLMError]"
_Inboxes: TypeAlias = dict[str, Inbox]
_Command: TypeAlias = Callable[[Engine, _Inboxes], None]


class EngineThread:
    """Runs steps while there is work; idles on its queue otherwise."""

    def __init__(self, engine: Engine) -> None:
        # SimpleQueue.put is reentrant: abort may be called by a generator's finalizer, in the
        # middle of anything, even on the engine thread itself.
        self._commands: queue.SimpleQueue[_Command | None] = queue.SimpleQueue()
        self._process = os.getpid()  # the thread does not follow into a forked child
        self._lock = threading.Lock()  # orders submit before or after close, never across it
        self._closed = False
        self._thread = threading.Thread(
            target=_serve, args=(engine, self._commands), name="pyllm-engine", daemon=True
        )
        self._thread.start()
        # Also at interpreter exit: a step must not run while the interpreter is taken down.
        self._finalizer = weakref.finalize(self, _stop, self._thread, self._commands)

    def submit(self, requests: list[Request], inbox: Inbox) -> None:
        """Start requests; their reports go to `inbox`."""

        def start(engine: Engine, inboxes: _Inboxes) -> None:
            for request in requests:
                try:
                    engine.add(request)
                except Exception as error:
                    inbox.put(_as_pyllm_error(error))
                else:
                    inboxes[request.request_id] = inbox

        if self._forked():
            step = "load it in the child process, or start processes with the 'spawn' method"
            raise PyLLMError(f"this LLM was loaded before a fork; {step}")
        with self._lock:
            if self._closed:
                raise PyLLMError("this LLM is closed")
            self._commands.put(start)

    def abort(self, request_ids: list[str]) -> None:
        """Free what the requests hold before the next step; returns at once."""

        def stop(engine: Engine, inboxes: _Inboxes) -> None:
            for request_id in request_ids:
                inboxes.pop(request_id, None)
                engine.abort(request_id)

        self._commands.put(stop)

    def _forked(self) -> bool:
        return os.getpid() != self._process

    def close(self) -> None:
        """Stop after the current step; requests in flight end with an error. May be repeated."""
        if self._forked():  # nothing runs here, and the lock may be held by a thread left behind
            self._finalizer.detach()
            return
        with self._lock:
            self._closed = True
        self._finalizer()


def _stop(thread: threading.Thread, commands: queue.SimpleQueue[_Command | None]) -> None:
    commands.put(None)
    # The garbage collector may run this on the engine thread, which cannot wait for itself.
    if thread is not threading.current_thread():
        thread.join()


def _serve(engine: Engine, commands: queue.SimpleQueue[_Command | None]) -> None:
    inboxes: _Inboxes = {}
    while True:
        try:
            if not _obey(engine, commands, inboxes):
                break
            _deliver(engine.step(), inboxes)
        except Exception as error:  # a defect of ours: callers hear of it, the engine goes on
            engine.reset()
            _fail_all(inboxes, _as_pyllm_error(error))
    engine.reset()
    _fail_all(inboxes, PyLLMError("the LLM was closed before the request was finished"))


def _obey(engine: Engine, commands: queue.SimpleQueue[_Command | None], inboxes: _Inboxes) -> bool:
    """Carry out what callers asked; waits when there is nothing to step. False: stop."""
    while not engine.has_unfinished() or not commands.empty():
        command = commands.get()
        if command is None:
            return False
        command(engine, inboxes)
    return True


def _deliver(outputs: list[RequestOutput], inboxes: _Inboxes) -> None:
    for output in outputs:
        inboxes[output.request_id].put(output)
        if output.finished:
            del inboxes[output.request_id]


def _fail_all(inboxes: _Inboxes, error: PyLLMError) -> None:
    for inbox in inboxes.values():
        inbox.put(error)
    inboxes.clear()


def _as_pyllm_error(error: Exception) -> PyLLMError:
    if isinstance(error, PyLLMError):
        return error
    return PyLLMError(f"the engine failed: {type(error).__name__}: {error}")
