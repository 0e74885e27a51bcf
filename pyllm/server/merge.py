"""Reports of several requests as one stream, each with the number of its request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TypeAlias

from pyllm.engine.open_request import OpenRequest
from pyllm.errors import PyLLMError
from pyllm.outputs import RequestOutput

# Reports between the requests and a slow reader; beyond, each request merges its own.
_MAX_WAITING = 16

# A report; None: the request is done; or what ended it.
_News: TypeAlias = "asyncio.Queue[tuple[int, RequestOutput | PyLLMError | None]]"


async def merged(
    requests: Sequence[OpenRequest],
) -> AsyncGenerator[tuple[int, RequestOutput], None]:
    """Raises what any of them raises."""
    if len(requests) == 1:
        async for report in requests[0]:
            yield 0, report
        return
    news: _News = asyncio.Queue(_MAX_WAITING)
    pumps = [
        asyncio.create_task(_pump(number, request, news)) for number, request in enumerate(requests)
    ]
    try:
        running = len(pumps)
        while running:
            number, found = await news.get()
            if found is None:
                running -= 1
            elif isinstance(found, PyLLMError):
                raise found
            else:
                yield number, found
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(number: int, request: OpenRequest, news: _News) -> None:
    try:
        async for output in request:
            await news.put((number, output))
    except PyLLMError as error:
        await news.put((number, error))
    else:
        await news.put((number, None))
