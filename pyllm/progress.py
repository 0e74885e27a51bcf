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
    """Call it with (done, total). On stderr, when that is a terminal, after a second of work.

    shown  False: not even then; afterwards, whether there is somebody to show it to
    """

    def __init__(self, title: str, *, shown: bool = True, in_bytes: bool = False) -> None:
        self._title = title
        self._in_bytes = in_bytes
        self.shown = shown and _is_terminal(sys.stderr)
        self._started = time.perf_counter()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        if not self.shown or time.perf_counter() - self._started < _WORTH_SHOWING_AFTER_S:
            return
        if self._bar is None:
            self._open(total)
        assert self._bar is not None
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, note=note)

    def _open(self, total: int) -> None:
        # Imported here: rich takes 60 ms, and most calls never wait a second.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        done = DownloadColumn(binary_units=True) if self._in_bytes else MofNCompleteColumn()
        note = TextColumn("{task.fields[note]}", markup=False)
        columns = ("{task.description}", BarColumn(), done, TimeRemainingColumn(), note)
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._title, total=total, note="")
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


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and not getattr(stream, "closed", False) and isatty())
