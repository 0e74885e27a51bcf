"""When the lines of batches may run: few at a time, and one when somebody waits for an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from pyllm.async_llm import AsyncLLM
from pyllm.server.model_registry import ModelRegistry

# Later than any request that does not ask to be later than this itself.
BATCH_PRIORITY = 2**30
_LOOK_SECONDS = 0.05


class SpareTime:
    """Shared by all batches; whoever came first goes first.

    A line beside an answer that somebody waits for slows it down, for it shares its steps, however
    low its priority. One that waits in the queue takes a place there from others, who would be
    refused. So lines begin where there is room and nobody else; one always does, so that every
    batch ends.
    """

    def __init__(self, registry: ModelRegistry, most: int) -> None:
        self._registry = registry
        self._places = asyncio.Semaphore(most)
        self._running = 0

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """For one line."""
        async with self._places:
            while self._running and not self._has_room():
                await asyncio.sleep(_LOOK_SECONDS)
            self._running += 1
            try:
                yield
            finally:
                self._running -= 1

    def _has_room(self) -> bool:
        models = [llm for _, llm, _ in self._registry.loaded()]
        return bool(models) and all(map(self._has_room_beside, models))

    def _has_room_beside(self, llm: AsyncLLM) -> bool:
        # Lines that have just begun are not among the engine's requests yet.
        requests = max(self._running, llm.num_running_requests + llm.num_queued_requests)
        return requests < llm.max_num_seqs and not llm.has_requests_before(BATCH_PRIORITY)
