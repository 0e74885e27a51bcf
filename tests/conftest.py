"""What every test may rely on."""

import gc
import signal

import pytest

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: tests that
# interrupt themselves or a child would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _earlier_modules_are_no_garbage() -> None:
    """A full collection of what ten thousand tests hold takes half a second: longer than a chat
    template may run. It would be charged to whoever is running then."""
    gc.collect()
    gc.freeze()
