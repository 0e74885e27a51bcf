"""Numbers of requests in the order of their arrival: they seed and name those that say nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count


class RequestNumbers:
    """Thread-safe. A seed depends on the arrival alone, whatever names are in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count()
        self._num_skipped = 0  # names that callers had chosen before

    def draw(self, name: str | None, is_used: Callable[[str], bool]) -> tuple[int, str]:
        """The next number, and the request's name: its own, or a number that is not used."""
        with self._lock:
            number = next(self._numbers)
            if name is not None:
                return number, name
            while is_used(str(number + self._num_skipped)):
                self._num_skipped += 1
            return number, str(number + self._num_skipped)
