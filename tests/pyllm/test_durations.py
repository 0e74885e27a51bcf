from __future__ import annotations

import pytest

from pyllm.durations import FOR_EVER, read_duration


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("5m", 300), ("1h30m", 5400), ("300", 300), ("0", 0), ("1.5s", 1.5), ("250ms", 0.25),
        ("1d", 86400), ("-1", FOR_EVER), ("-5m", FOR_EVER), (" 10s ", 10),
    ],
)  # fmt: skip
def test_lengths_of_time(typed: str, seconds: float) -> None:
    assert read_duration(typed) == seconds


@pytest.mark.parametrize("typed", ["", "m", "5 m", "5x", "1h,2m", "1e9", "nan", "9" * 40, "5m5"])
def test_anything_else_is_refused_in_one_line(typed: str) -> None:
    with pytest.raises(ValueError, match=r"is no length of time; allowed: "):
        read_duration(typed)
