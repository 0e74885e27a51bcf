"""A progress bar that appears only when it is worth looking at."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_WORTH_SHOWING_AFTER_S = 1.0


class ProgressBar:
    """On stderr, when that is a terminal and the work has taken over a second."""

    def __init__(self, what: str, *, total: int, shown: bool = True) -> None:
        self._what = what
        self._total = total
        self._shown = shown and sys.stderr.isatty()
        self._started = time.perf_counter()
        self._done = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def advance(self) -> None:
        """One unit of the total is done."""
        self._done += 1
        if not self._shown:
            return
        if self._bar is None and time.perf_counter() - self._started > _WORTH_SHOWING_AFTER_S:
            self._open()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what, total=self._total)
        self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
