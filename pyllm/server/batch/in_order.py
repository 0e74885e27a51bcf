"""Work on many things at a time, with the results in the order of the things."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def in_order(
    items: Iterator[Item], work: Callable[[Item], Coroutine[Any, Any, Result]], most: int
) -> AsyncGenerator[Result, None]:
    """`work(item)` for every item; whoever leaves the loop, or is cancelled, ends them all.

    items  are drawn on another thread: they may come from a slow pipe
    most   items that are worked on, or are done and wait for one before them
    """
    pending: deque[asyncio.Task[Result]] = deque()
    reading: asyncio.Task[tuple[Item] | None] | None = None
    more = True
    try:
        while True:
            if more and reading is None and len(pending) < most:
                reading = asyncio.create_task(asyncio.to_thread(_next, items))
            waited: list[asyncio.Task[Any]] = [*([reading] if reading else ()), *list(pending)[:1]]
            if not waited:
                return
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if reading is not None and reading.done():
                found, reading = reading.result(), None
                more = found is not None
                if found is not None:
                    pending.append(asyncio.create_task(work(found[0])))
            if pending and pending[0].done():
                yield pending.popleft().result()
    finally:
        rest = [*pending, *([reading] if reading else ())]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _next(items: Iterator[Item]) -> tuple[Item] | None:
    """The next item, wrapped; None: there is none."""
    for item in items:
        return (item,)
    return None
