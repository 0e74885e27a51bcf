"""The lines of --verbose."""

from __future__ import annotations

import pytest

from pyllm.cli.timings import Timings, duration


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (0.0000005, "0.5µs"),
        (0.00083125, "831.25µs"),
        (0.0125, "12.5ms"),
        (4.648695834, "4.648696s"),
        (62.5, "1m2.5s"),
        (3605, "1h0m5s"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_lines() -> None:
    timings = Timings(load_s=1, prompt_tokens=26, prompt_s=0.13, tokens=101, eval_s=0.5)
    assert timings.lines().splitlines() == [
        "total duration:       1.63s",
        "load duration:        1s",
        "prompt eval count:    26 token(s)",
        "prompt eval duration: 130ms",
        "prompt eval rate:     200.00 tokens/s",
        "eval count:           101 token(s)",
        "eval duration:        500ms",
        "eval rate:            200.00 tokens/s",
    ]


def test_what_was_cached_is_not_counted_as_computed() -> None:
    timings = Timings(prompt_tokens=26, cached_tokens=16, prompt_s=0.1)
    assert timings.lines().splitlines()[2:6] == [
        "prompt cached count:  16 token(s)",
        "prompt eval count:    10 token(s)",
        "prompt eval duration: 100ms",
        "prompt eval rate:     100.00 tokens/s",
    ]


def test_no_rate_without_a_measurement() -> None:
    assert "rate" not in Timings(tokens=1).lines()
