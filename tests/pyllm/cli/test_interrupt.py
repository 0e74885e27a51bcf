"""One Ctrl-C counts, and only inside."""

from __future__ import annotations

import signal

import pytest

from pyllm.cli.interrupt import first_interrupt_only


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_only_the_first_one_raises() -> None:
    cleaned = False
    with first_interrupt_only():
        with pytest.raises(KeyboardInterrupt):
            press()
        press()
        cleaned = True
    assert cleaned


def test_afterwards_interrupts_are_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), first_interrupt_only():
        press()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        press()
