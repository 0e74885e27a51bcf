"""One batch: what was asked, how far it is, and when it became what."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pyllm.server.files.store import StoredFile

WINDOW_SECONDS: Final = 24 * 3600

# Nothing happens any more.
ENDED: Final = frozenset({"failed", "completed", "expired", "cancelled"})


@dataclass(eq=False)
class BatchJob:
    """Statuses: validating, in_progress, finalizing, completed, failed, expired, cancelling,
    cancelled.

    times       status: seconds since 1970 when it was reached
    errors      why it failed as a whole
    answers_id  and errors_id: of the files that are being written
    changed     is told of every new status
    """

    tenant: str | None
    endpoint: str
    input: StoredFile
    metadata: Mapping[str, str] | None
    id: str = field(default_factory=lambda: f"batch_{secrets.token_hex(16)}")
    status: str = "validating"
    times: dict[str, int] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    completed: int = 0
    failed: int = 0
    output: StoredFile | None = None
    error_output: StoredFile | None = None
    answers_id: str | None = None
    errors_id: str | None = None
    expires_at: int = 0
    changed: Callable[[BatchJob], None] | None = None

    def __post_init__(self) -> None:
        self.times["validating"] = int(time.time())
        self.expires_at = self.times["validating"] + WINDOW_SECONDS
        self.become("validating")

    def become(self, status: str) -> None:
        """Reach a status; the first time counts."""
        self.status = status
        self.times.setdefault(status, int(time.time()))
        if self.changed is not None:
            self.changed(self)

    def fail(self, code: str, message: str, line: int | None = None) -> None:
        """End as a whole; `line` of the input, from 1, where one is at fault."""
        self.errors.append({"code": code, "message": message, "line": line, "param": None})
        self.become("failed")

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def count(self, *, failed: bool) -> None:
        """One more line has its answer."""
        self.failed += failed
        self.completed += not failed
