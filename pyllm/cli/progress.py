"""A bar on stderr for work that takes over a second, when a person is looking."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from pyllm.cli.terminal import is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ProgressBar"]

_DELAY_S = 1.0  # shorter work would only make the screen flicker


class ProgressBar:
    """Call it with (done, total) in bytes; shows nothing for a second or on a file."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._start_s = time.perf_counter()
        self._shown = is_terminal(sys.stderr)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        if not self._shown or time.perf_counter() - self._start_s < _DELAY_S:
            return
        if self._bar is None:
            self._bar = self._open(total)
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _open(self, total: int) -> Progress:
        # Imported here: rich takes 60 ms, and most commands never wait a second.
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        bar = Progress(
            "{task.description}",
            BarColumn(),
            DownloadColumn(binary_units=True),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = bar.add_task(self._title, total=total)
        bar.start()
        return bar
