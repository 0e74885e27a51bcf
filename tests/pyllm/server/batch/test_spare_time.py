from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyllm.server.batch.spare_time import SpareTime


@dataclass
class FakeLLM:
    num_running_requests: int = 0
    num_queued_requests: int = 0
    max_num_seqs: int = 8
    others: bool = False

    def has_requests_before(self, _priority: int) -> bool:
        return self.others


class FakeRegistry:
    def __init__(self, *models: FakeLLM) -> None:
        self.models = models

    def loaded(self) -> Iterator[tuple[str, FakeLLM, float]]:
        return ((str(number), llm, 0.0) for number, llm in enumerate(self.models))


def places_taken(registry: Any, most: int = 4, wanted: int = 10) -> int:
    """Of `wanted` lines that want to run at the same time."""
    taken = 0

    async def line(spare: SpareTime) -> None:
        nonlocal taken
        async with spare.place():
            taken += 1
            await asyncio.sleep(60)

    async def run() -> None:
        spare = SpareTime(registry, most)
        tasks = [asyncio.create_task(line(spare)) for _ in range(wanted)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    return taken


def test_few_lines_at_a_time() -> None:
    assert places_taken(FakeRegistry(FakeLLM())) == 4


def test_one_line_while_somebody_waits() -> None:
    assert places_taken(FakeRegistry(FakeLLM(), FakeLLM(others=True))) == 1


def test_no_more_than_have_a_place() -> None:
    assert places_taken(FakeRegistry(FakeLLM(max_num_seqs=2))) == 2
    assert places_taken(FakeRegistry(FakeLLM(num_running_requests=7, num_queued_requests=1))) == 1


def test_the_first_line_loads_the_model_alone() -> None:
    assert places_taken(FakeRegistry()) == 1
