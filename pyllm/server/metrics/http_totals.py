"""What the server counts that no engine sees: HTTP, refusals, failed loads, slow readers."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pyllm.errors import (
    DeviceError,
    MemoryBudgetError,
    ModelFileError,
    TokenizerError,
    UnsupportedModelError,
)
from pyllm.histogram import Histogram

# Before the engine has the request; it counts the phases after that itself.
EarlyPhase = Literal["load", "encode"]

# Codes of errors that say: not now. What is wrong with a request itself is no rejection.
REJECTIONS = (
    "queue_full",
    "too_many_batches",
    "insufficient_memory",
    "shutting_down",
    "engine_stopped",
    "request_timeout",
    "bodies_too_large",
    "too_many_connections",
)

# The first that fits.
_LOAD_FAILURES: tuple[tuple[type[BaseException], str], ...] = (
    (UnsupportedModelError, "unsupported"),
    (ModelFileError, "model_file"),
    (TokenizerError, "tokenizer"),
    (MemoryBudgetError, "memory"),
    (DeviceError, "device"),
    (OSError, "io"),
)
LOAD_FAILURES = (*(reason for _, reason in _LOAD_FAILURES), "other")

STALL_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)

_MAX_ROUTES = 512  # far more than there are; whatever a caller does, memory is bounded


class HttpTotals:
    """Written on the event loop; any thread may read."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # (route, status)
        self.rejections = dict.fromkeys(REJECTIONS, 0)
        self.load_failures = dict.fromkeys(LOAD_FAILURES, 0)
        self.cancelled: Counter[tuple[str, EarlyPhase]] = Counter()  # (model, phase)
        self.stalls = Histogram(STALL_BOUNDS)
        self._routes: set[str] = set()

    def answered(self, route: str, status: int) -> None:
        """route: the template of a path, never the path itself."""
        if route not in self._routes:
            if len(self._routes) >= _MAX_ROUTES:
                route = "other"
            self._routes.add(route)
        self.requests[route, status if 100 <= status <= 599 else 0] += 1

    def rejected(self, code: str | None) -> None:
        """Codes that are not among REJECTIONS are not counted."""
        if code in self.rejections:
            self.rejections[code] += 1

    def load_failed(self, error: BaseException) -> None:
        """Counted by what kind of error it is: see LOAD_FAILURES."""
        reasons = (reason for kind, reason in _LOAD_FAILURES if isinstance(error, kind))
        self.load_failures[next(reasons, "other")] += 1
