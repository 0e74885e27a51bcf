"""When the lines of batches may run: few at a time, and one when somebody waits for an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from pyllm.server.model_registry import ModelRegistry

# Later than any request that does not ask to be later than this itself.
BATCH_PRIORITY = 2**30
_LOOK_SECONDS = 0.05


class SpareTime:
    """Shared by all batches; whoever came first goes first.

    Every line beside an answer that somebody waits for slows it down, also one of low priority: it
    shares its steps. One line goes on nevertheless, so that every batch ends.
    """

    def __init__(self, registry: ModelRegistry, most: int) -> None:
        self._registry = registry
        self._places = asyncio.Semaphore(most)
        self._running = 0

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """For one line."""
        async with self._places:
            while self._running and self._is_busy():
                await asyncio.sleep(_LOOK_SECONDS)
            self._running += 1
            try:
                yield
            finally:
                self._running -= 1

    def _is_busy(self) -> bool:
        return any(llm.has_requests_before(BATCH_PRIORITY) for _, llm, _ in self._registry.loaded())
