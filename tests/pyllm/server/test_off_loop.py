from __future__ import annotations

import asyncio
import threading

import pytest

from pyllm.server.off_loop import INLINE_BYTES, off_loop


def test_short_work_stays_and_long_work_leaves_the_loop_free() -> None:
    gate = threading.Event()

    def long_work() -> int:
        assert gate.wait(10), "the loop waits for this work"
        return threading.get_ident()

    async def run() -> None:
        here = threading.get_ident()
        assert await off_loop(threading.get_ident, INLINE_BYTES) == here
        asyncio.get_running_loop().call_later(0.01, gate.set)
        assert await off_loop(long_work, INLINE_BYTES + 1) != here

    asyncio.run(run())


def test_a_short_piece_passes_a_long_one() -> None:
    gate = threading.Event()

    async def run() -> None:
        long = asyncio.create_task(off_loop(lambda: gate.wait(10), INLINE_BYTES + 1))
        await asyncio.sleep(0)
        assert await off_loop(lambda: 7, INLINE_BYTES + 1) == 7
        assert not long.done()
        gate.set()
        assert await long

    asyncio.run(run())


@pytest.mark.parametrize("size", [0, INLINE_BYTES + 1])
def test_errors_come_back(size: int) -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(off_loop(lambda: 1 // 0, size))
