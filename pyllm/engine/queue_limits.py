"""How many requests may wait, and what to tell the one that may not."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from pyllm.errors import QueueFullError

_DEPARTURES = 32  # the rate at which the queue drains is measured over these
_LONGEST_RETRY_S = 60


class QueueLimits:
    """Counts requests from their arrival to their first step. Thread-safe, and never waits.

    max_requests  that may wait beyond those for whom a place in the batch is free; None: any
    max_tokens    of all prompts that wait, every continuation counted; None: any. A request that
                  finds nobody waiting is always let in, or it could never run.
    """

    def __init__(self, max_requests: int | None, max_tokens: int | None) -> None:
        self.max_requests = max_requests
        self.max_tokens = max_tokens
        self._waiting: dict[Hashable, int] = {}  # request: tokens
        self._num_tokens = 0
        self._num_preparing = 0  # not waiting yet, and of unknown size
        self._departures: deque[float] = deque(maxlen=_DEPARTURES)  # seconds, monotonic
        self._lock = threading.Lock()

    @property
    def num_requests(self) -> int:
        return len(self._waiting)

    @property
    def num_tokens(self) -> int:
        return self._num_tokens

    def enter(self, request: Hashable, num_tokens: int, free_places: int) -> None:
        """Raises QueueFullError when there is no room.

        request  itself, not its id: another may come with the same one, to be refused
        """
        with self._lock:
            excess = self._excess(num_tokens, free_places)
            if excess > 0:
                raise self._full(excess)
            self._waiting[request] = num_tokens
            self._num_tokens += num_tokens

    @contextmanager
    def preparing(self, free_places: int) -> Iterator[None]:
        """While a request is made ready, which may take longer than to refuse it.

        Raises QueueFullError when those who wait and those in preparation leave no place for it.
        """
        with self._lock:
            excess = self._excess_requests(self._num_preparing, free_places)
            if excess > 0 and (self._waiting or self._num_preparing):
                raise self._full(excess)
            self._num_preparing += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_preparing -= 1

    def leave(self, request: Hashable) -> None:
        """It was started or given up; a second call does nothing."""
        with self._lock:
            if self._remove(request):
                self._departures.append(time.monotonic())

    def withdraw(self, request: Hashable) -> None:
        """It never waited: another that came with it was refused. The queue drains no faster."""
        with self._lock:
            self._remove(request)

    def _remove(self, request: Hashable) -> bool:
        num_tokens = self._waiting.pop(request, None)
        self._num_tokens -= num_tokens or 0
        return num_tokens is not None

    def _excess(self, num_tokens: int, free_places: int) -> int:
        """Requests that would have to leave first."""
        if not self._waiting:
            return 0
        excess = self._excess_requests(0, free_places)
        if self.max_tokens is not None:
            tokens = self._num_tokens + num_tokens - self.max_tokens
            average = max(1, self._num_tokens // len(self._waiting))
            excess = max(excess, math.ceil(tokens / average))
        return excess

    def _excess_requests(self, num_others: int, free_places: int) -> int:
        if self.max_requests is None:
            return 0
        return len(self._waiting) + num_others + 1 - free_places - self.max_requests

    def _full(self, excess: int) -> QueueFullError:
        return QueueFullError(
            self.num_requests,
            self.num_tokens,
            self.max_requests,
            self.max_tokens,
            self._seconds_until(excess),
        )

    def _seconds_until(self, num_departures: int) -> int:
        """An estimate in whole seconds, as a Retry-After header wants it."""
        if not self._departures:
            return 1
        interval = (time.monotonic() - self._departures[0]) / len(self._departures)
        return max(1, min(_LONGEST_RETRY_S, math.ceil(interval * num_departures)))
