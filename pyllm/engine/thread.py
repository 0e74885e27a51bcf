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
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import NamedTuple, Protocol, TypeAlias

from pyllm.engine.engine import Engine
from pyllm.engine.queue_limits import QueueLimits
from pyllm.engine.stats import EngineStats
from pyllm.errors import PyLLMError
from pyllm.outputs import RequestOutput
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


class _Door:
    """What callers and the engine's thread share."""

    def __init__(self) -> None:
        # SimpleQueue.put is reentrant: abort may be called by a generator's finalizer, in the
        # middle of anything, even on the engine thread itself. So abort must not lock either.
        self.commands: _Commands = queue.SimpleQueue()  # None: stop
        self.lock = threading.Lock()  # orders submit before or after an end, never across it
        self.names: Counter[str] = Counter()  # of requests expected or submitted, and not ended
        self.expected: Counter[str] = Counter()  # of those, not submitted yet
        self.early_aborts: set[str] = set()  # expected ones that somebody aborted before they came
        self.end: PyLLMError | None = None  # why nobody is served any more
        self.num_submitted = self.num_started = 0  # sequences, since the start

    def let_go(self, name: str) -> None:
        with self.lock:
            self.names[name] -= 1
            if not self.names[name]:
                del self.names[name]
                self.early_aborts.discard(name)

    def abort_when_it_comes(self, name: str) -> None:
        """A request that is being prepared ends as soon as it is submitted, if it ever is."""
        with self.lock:
            if name in self.names:
                self.early_aborts.add(name)

    def was_aborted_early(self, name: str) -> bool:
        """Asked of each request once."""
        with self.lock:
            found = name in self.early_aborts
            self.early_aborts.discard(name)
            return found


class EngineThread:
    """Runs steps while there is work; idles on its queue otherwise.

    `limits` bound the queue of requests submitted with `refusable`; others wait without limit,
    in the memory of a caller who waits too.
    """

    def __init__(self, engine: Engine, limits: QueueLimits | None = None) -> None:
        self._engine: Engine | None = engine  # None once closed
        self._last_stats: EngineStats | None = None  # what it had done then
        self.limits = limits or QueueLimits(None, None)
        self._door = _Door()
        self._process = os.getpid()  # the thread does not follow into a forked child
        engine.names_in_use = self._door.names
        service = _Service(engine, self.limits, self._door)
        self._thread = threading.Thread(target=service.run, name="pyllm-engine", daemon=True)
        self._thread.start()
        # Also at interpreter exit: a step must not run while the interpreter is taken down.
        interrupt = engine.model.program.interrupt
        self._finalizer = weakref.finalize(
            self, _stop, self._thread, self._door.commands, interrupt
        )

    def submit(self, requests: list[Request], inbox: Inbox, *, refusable: bool = False) -> None:
        """Start requests; their reports go to `inbox`.

        Raises PyLLMError once closed, and in a logits processor, which would wait for itself;
        QueueFullError, when refusable, and then none is started.
        """
        if self._forked():
            step = "load it in the child process, or start processes with the 'spawn' method"
            raise PyLLMError(f"this LLM was loaded before a fork; {step}")
        if threading.current_thread() is self._thread:
            raise PyLLMError("a logits processor cannot wait for the LLM that runs it")
        door = self._door
        with door.lock:
            if self._engine is None:
                raise PyLLMError("this LLM is closed")
            if door.end is not None:
                raise copy(door.end)
            if refusable:
                _enter(self.limits, requests, self._engine)
            door.names.update(request.request_id for request in requests)
            door.num_submitted += sum(len(request.continuations) for request in requests)
            door.commands.put(lambda service: service.start(requests, inbox))

    def stats(self) -> EngineStats:
        """What the engine does and has done. Any thread may ask, also after `close`."""
        engine, door = self._engine, self._door
        if engine is None:
            assert self._last_stats is not None
            return self._last_stats
        arriving = door.num_submitted - door.num_started
        return engine.counters.snapshot(engine.scheduler, max(0, arriving))

    @property
    def is_running(self) -> bool:
        """It takes requests: it is neither closed nor stopped by a defect of its own."""
        return self._engine is not None and self._door.end is None

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """A refusable request is made ready: QueueFullError at once when the queue is full."""
        engine = self._engine
        with self.limits.preparing(0 if engine is None else _free_places(engine)):
            yield

    @contextmanager
    def expecting(self, request_id: str) -> Iterator[None]:
        """Nobody is given this id automatically while its request is prepared and submitted."""
        door = self._door
        with door.lock:
            door.names[request_id] += 1
            door.expected[request_id] += 1
        try:
            yield
        finally:
            with door.lock:
                door.expected -= Counter([request_id])  # which forgets what it has none of
            door.let_go(request_id)

    def abort(self, request_ids: Iterable[str], inbox: Inbox | None = None) -> None:
        """Free what the requests hold before the next step; returns at once.

        inbox  where their reports go: another's request with the same id is not meant;
               None: whoever has the id

        A step that reads one of their prompts ends early. Their last report is delivered.
        """
        names = self._door.names
        request_ids = [request_id for request_id in request_ids if request_id in names]
        if not request_ids:
            return
        # Now: when it is the engine's turn, somebody may be preparing another with the same id.
        expected = [name for name in request_ids if inbox is None and self._door.expected[name]]
        self._door.commands.put(lambda service: service.abort(request_ids, inbox, expected))
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
        engine = self._engine
        if engine is not None:
            self._last_stats = self.stats()  # for those who ask while it ends
        with self._door.lock:
            self._engine = None
        self._finalizer()
        if engine is not None:
            self._last_stats = engine.counters.snapshot(engine.scheduler, 0)


def _free_places(engine: Engine) -> int:
    return engine.scheduler.max_num_seqs - len(engine.scheduler.running)


def _enter(limits: QueueLimits, requests: list[Request], engine: Engine) -> None:
    """All of them or none."""
    free_places = _free_places(engine)
    for number, request in enumerate(requests):
        tokens = len(request.prompt_token_ids) * len(request.continuations)
        try:
            limits.enter(request, tokens, free_places)
        except PyLLMError:
            for entered in requests[:number]:
                limits.withdraw(entered)
            raise


def _stop(thread: threading.Thread, commands: _Commands, interrupt: Callable[[], None]) -> None:
    commands.put(None)
    interrupt()
    # The garbage collector may run this on the engine thread, which cannot wait for itself.
    if thread is not threading.current_thread():
        thread.join()


class _Held(NamedTuple):
    request: Request
    inbox: Inbox


class _Service:
    """What the thread does."""

    def __init__(self, engine: Engine, limits: QueueLimits, door: _Door) -> None:
        self._engine = engine
        self._limits = limits
        self._door = door
        self._held: dict[str, _Held] = {}
        engine.on_start = limits.leave

    def run(self) -> None:
        end = PyLLMError("the LLM was closed before the request was finished")
        try:
            while self._serve():
                pass
            self._engine.reset()
        except BaseException as error:
            _log.critical("the engine has stopped", exc_info=error)
            end = PyLLMError(f"the engine has stopped: {type(error).__name__}: {error}")
        finally:  # nobody may wait for a thread that is gone
            self._end(end)

    def start(self, requests: list[Request], inbox: Inbox) -> None:
        for request in requests:
            self._door.num_started += len(request.continuations)
            try:
                if self._door.end is not None:
                    raise self._door.end
                self._engine.add(request)
            except BaseException as error:
                self._limits.leave(request)
                self._door.let_go(request.request_id)
                self._put(inbox, _as_pyllm_error(error))
            else:
                self._held[request.request_id] = _Held(request, inbox)
                if self._door.early_aborts and self._door.was_aborted_early(request.request_id):
                    self.abort([request.request_id], inbox)

    def abort(
        self, request_ids: list[str], inbox: Inbox | None, expected: Collection[str] = ()
    ) -> None:
        """expected: those that were being prepared when this was asked for"""
        for request_id in request_ids:
            held = self._held.get(request_id)
            if held is None and request_id in expected:
                self._door.abort_when_it_comes(request_id)
            if held is None or (inbox is not None and held.inbox is not inbox):
                continue
            output = self._engine.abort(request_id)
            self._let_go(request_id)
            if output is not None:
                self._put(held.inbox, output)

    def _serve(self) -> bool:
        """One round of commands and one step. False: stop."""
        try:
            if not self._obey():
                return False
            if self._engine.has_unfinished():
                self._deliver(self._engine.step(self._has_news))
        except BaseException as error:  # a defect of ours: callers hear of it, the engine goes on
            self._engine.reset()
            self._fail_all(_as_pyllm_error(error))
        return True

    def _end(self, error: PyLLMError) -> None:
        with self._door.lock:  # no request comes in any more
            self._door.end = error
        self._fail_all(error)
        while not self._door.commands.empty():
            command = self._door.commands.get()
            if command is not None:
                command(self)

    def _has_news(self) -> bool:
        return not self._door.commands.empty()

    def _obey(self) -> bool:
        """Carry out what callers have asked; waits when there is nothing to step. False: stop.

        What they ask meanwhile comes after a step: they could go on for ever.
        """
        waits = not self._engine.has_unfinished()
        for _ in range(max(self._door.commands.qsize(), waits)):
            command = self._door.commands.get()
            if command is None:
                return False
            command(self)
        return True

    def _deliver(self, outputs: list[RequestOutput]) -> None:
        for output in outputs:
            inbox = self._held[output.request_id].inbox
            if output.finished:  # before it is heard of: the id may be used again then
                self._let_go(output.request_id)
            heard = self._put(inbox, output)
            if not output.finished and not heard:
                self._engine.abort(output.request_id)
                self._let_go(output.request_id)

    def _put(self, inbox: Inbox, message: Message) -> bool:
        try:
            inbox.put(message)
        except BaseException:
            _log.exception("a report could not be delivered")
            return False
        return True

    def _let_go(self, request_id: str) -> None:
        self._limits.leave(self._held.pop(request_id).request)
        self._door.let_go(request_id)

    def _fail_all(self, error: PyLLMError) -> None:
        for request_id, held in list(self._held.items()):
            self._let_go(request_id)
            self._put(held.inbox, error)


def _as_pyllm_error(error: BaseException) -> PyLLMError:
    if isinstance(error, PyLLMError):
        return error
    return PyLLMError(f"the engine failed: {type(error).__name__}: {error}")
