"""Ctrl-C held down must stop an answer once, not the chat around it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["first_interrupt_only"]


@contextmanager
def first_interrupt_only() -> Iterator[None]:
    """Inside, the first Ctrl-C raises KeyboardInterrupt and further ones do nothing.

    The main thread only, as Python's signals are. Cleaning up after the first one, which takes a
    step of the model, cannot be interrupted half-way then.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
