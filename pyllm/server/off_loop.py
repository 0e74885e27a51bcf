"""Work that grows with what is asked: a long piece of it would hold up everyone's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["INLINE_BYTES", "off_loop"]

T = TypeVar("T")

INLINE_BYTES = 64 * 1024  # of JSON: read or written within 2 ms; more goes to another thread

# Threads take turns at Python, so more of them finish nothing sooner and let the loop wait longer
# for its own turn; the second lets a short piece of work pass a long one.
_threads = ThreadPoolExecutor(2, "pyllm-off-loop")


async def off_loop(work: Callable[[], T], size: int) -> T:
    """What `work` returns; it runs on another thread when it is long.

    size  about the bytes of JSON that it reads or writes
    `work` must not hold Python for long in a single call: see `long_json`.
    """
    if size <= INLINE_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
