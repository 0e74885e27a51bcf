"""Row 27, everywhere: helpers that read answers pass them through here."""

from __future__ import annotations

from pyllm.server.edge.leaks import find_leak


def assert_no_leak(status: int, body: bytes) -> None:
    """An answer of 400 and above holds no path, no address and no piece of a traceback."""
    if status >= 400:
        text = body.decode("utf-8", "replace")
        assert find_leak(text) is None, text
