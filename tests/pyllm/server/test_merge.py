from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from pyllm.engine.open_request import OpenRequest
from pyllm.errors import PyLLMError
from pyllm.server.merge import merged


class Reports:
    """Yields numbers, then fails if it is to."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self._count, self._error = count, error

    async def __aiter__(self) -> AsyncIterator[int]:
        for number in range(self._count):
            await asyncio.sleep(0)
            yield number
        if self._error is not None:
            raise self._error


def requests(*reports: Reports) -> list[OpenRequest]:
    return cast(list[OpenRequest], list(reports))


async def read(*reports: Reports) -> list[tuple[int, Any]]:
    return [item async for item in merged(requests(*reports))]


@pytest.mark.parametrize("counts", [(3,), (3, 0, 5), (100, 1)])
def test_all_reports_of_all_requests_in_their_order(counts: tuple[int, ...]) -> None:
    found = asyncio.run(read(*map(Reports, counts)))
    for request, count in enumerate(counts):
        assert [number for index, number in found if index == request] == list(range(count))


def test_the_failure_of_one_ends_the_stream() -> None:
    with pytest.raises(PyLLMError, match="gone"):
        asyncio.run(read(Reports(2), Reports(50, PyLLMError("gone"))))


def test_a_reader_that_leaves_early_leaves_no_task_behind() -> None:
    async def run() -> int:
        stream = merged(requests(Reports(1000), Reports(1000)))
        await anext(stream)
        await stream.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1
