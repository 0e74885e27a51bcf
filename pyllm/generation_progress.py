"""What `LLM.generate` shows while it runs: requests done, tokens read and written per second."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from pyllm.outputs import RequestOutput
from pyllm.progress import ProgressBar
from pyllm.request import Request

_REFRESH_S = 0.25


class GenerationProgress:
    """Tell it of every finished request, and ask it to `show` at least every `patience` seconds.

    Requests that run are counted from outside while the engine's thread changes them: they may
    look a step younger than they are.
    """

    def __init__(self, requests: Iterable[Request], *, shown: bool) -> None:
        self._unfinished = {request.request_id: request for request in requests}
        self._total = len(self._unfinished)
        self._bar = ProgressBar("generating", shown=shown)
        self._read = self._written = 0  # tokens of finished requests
        self._started = self._shown_at = time.perf_counter()

    @property
    def unfinished(self) -> list[str]:
        """Ids of the requests that are not done."""
        return list(self._unfinished)

    @property
    def patience(self) -> float | None:
        """Seconds until `show` has something new to say; None: never."""
        return _REFRESH_S if self._bar.shown else None

    def finish(self, output: RequestOutput) -> None:
        self._unfinished.pop(output.request_id)  # with all that it held
        self._read += len(output.prompt_token_ids)
        self._written += sum(len(part.token_ids) for part in output.outputs)

    def show(self) -> None:
        """Update the bar, now and then: it looks at every request that is not finished."""
        now = time.perf_counter()
        if not self._bar.shown or now - self._shown_at < _REFRESH_S:
            return
        self._shown_at = now
        done = self._total - len(self._unfinished)
        self._bar(done, self._total, self._rates(now - self._started))

    def _rates(self, seconds: float) -> str:
        read, written = self._read, self._written
        for request in self._unfinished.values():
            read += request.num_read_tokens
            written += request.num_written_tokens
        return f"{read / seconds:.0f} tok/s read, {written / seconds:.0f} tok/s written"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.__exit__(kind, error, traceback)
