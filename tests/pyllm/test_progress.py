"""The bar shows itself on a terminal after a second, and nowhere else."""

import io
import sys

import pytest

import pyllm.progress as progress_module
from pyllm.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown_text(monkeypatch):
    """Returns a function: run a bar on `stderr`, answer what it wrote."""

    def run(stderr, *, delay_s, shown=True):
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setattr(progress_module, "_WORTH_SHOWING_AFTER_S", delay_s)
        with ProgressBar("packing", shown=shown) as bar:
            bar(1, 4)
            bar(4, 4)
        return stderr.getvalue()

    return run


def test_a_long_wait_on_a_terminal_shows_a_bar(shown_text):
    assert "packing" in shown_text(Terminal(), delay_s=0)


@pytest.mark.parametrize(
    ("stderr", "options"),
    [
        (Terminal(), {"delay_s": 60}),
        (Terminal(), {"delay_s": 0, "shown": False}),
        (io.StringIO(), {"delay_s": 0}),
    ],
)
def test_otherwise_nothing_is_written(shown_text, stderr, options):
    assert shown_text(stderr, **options) == ""
