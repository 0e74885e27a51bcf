from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

import pytest

from pyllm.server.batch.in_order import in_order


def test_results_are_in_order_whatever_takes_longest() -> None:
    running = most = 0

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(random.Random(number).uniform(0, 0.01))
        running -= 1
        return number * 10

    async def run() -> list[int]:
        return [found async for found in in_order(iter(range(40)), work, 5)]

    assert asyncio.run(run()) == [number * 10 for number in range(40)]
    assert most == 5


def test_a_slow_source_holds_nothing_back() -> None:
    seen: list[int] = []

    def slow() -> Iterator[int]:
        yield 1
        while seen != [1]:  # for ever, if the first result waited for the second item
            time.sleep(0.001)
        yield 2

    async def work(number: int) -> int:
        return number

    async def run() -> None:
        async for found in in_order(slow(), work, 3):
            seen.append(found)  # noqa: PERF401 - one by one

    asyncio.run(asyncio.wait_for(run(), 20))
    assert seen == [1, 2]


def test_who_leaves_ends_the_rest() -> None:
    ended: list[int] = []

    async def work(number: int) -> int:
        try:
            await asyncio.sleep(60 if number else 0)
        finally:
            ended.append(number)
        return number

    async def run() -> None:
        results = in_order(iter(range(100)), work, 3)
        async for found in results:
            assert found == 0
            await asyncio.sleep(0.05)
            break
        await results.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    assert ended[0] == 0
    assert len(ended) <= 4


@pytest.mark.parametrize("fails", ["source", "work"])
def test_a_failure_ends_it(fails: str) -> None:
    def items() -> Iterator[int]:
        yield 0
        if fails == "source":
            raise OSError("the disk")
        yield 1

    async def work(number: int) -> int:
        if number == 1:
            raise OSError("the engine")
        return number

    async def run() -> None:
        async for _ in in_order(items(), work, 3):
            pass

    with pytest.raises(OSError, match="the"):
        asyncio.run(run())
