"""Reports of several requests as one stream, each with the number of its request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TypeAlias

from pyllm.open_request import OpenRequest
from pyllm.outputs import RequestOutput

# Reports between the requests and a slow reader; beyond, each request merges its own.
_MAX_WAITING = 16

# A report, the end of a request, or what ended it.
_News: TypeAlias = "asyncio.Queue[tuple[int, RequestOutput | Exception | None]]"


async def merged(requests: Sequence[OpenRequest]) -> AsyncGenerator[tuple[int, RequestOutput], None]:
    """Raises what any of them raises."""
    if len(requests) == 1:
        async for output in requests[0]:
            yield 0, output
        return
    news: _News = asyncio.Queue(_MAX_WAITING)
    pumps = [
        asyncio.create_task(_pump(number, request, news)) for number, request in enumerate(requests)
    ]
    try:
        running = len(pumps)
        while running:
            number, output = await news.get()
            if output is None:
                running -= 1
            elif isinstance(output, Exception):
                raise output
            else:
                yield number, output
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(number: int, request: OpenRequest, news: _News) -> None:
    try:
        async for output in request:
            await news.put((number, output))
    except Exception as error:
        await news.put((number, error))
    else:
        await news.put((number, None))
