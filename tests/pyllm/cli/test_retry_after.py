"""What a busy server asks for."""

from __future__ import annotations

from email.utils import formatdate
from time import time

import pytest

from pyllm.cli.retry_after import retry_after_s


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        (" 0.5 ", 0.5),
        ("soon", None),
        ("-1", None),
        ("nan", None),
        ("1" * 4000, None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
        ("Mon, 99 Jan 2001 00:00:00 GMT", None),
    ],
)
def test_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header) == seconds


def test_a_date() -> None:
    asked = retry_after_s(formatdate(time() + 60, usegmt=True))
    assert asked is not None
    assert 50 < asked <= 60
