"""Acceptance: recent guesses count, others' experience is where a request begins."""

import pytest

from pyllm.speculation.acceptance import FIRST_RATE, Acceptance


def test_a_kind_never_tried_has_the_first_rate():
    assert Acceptance(2, 16).rate(1) == FIRST_RATE


def test_rates_follow_what_happens():
    acceptance = Acceptance(1, 16)
    acceptance.record(0, 30, failed=False)
    high = acceptance.rate(0)
    assert high > 0.9
    for _ in range(4):
        acceptance.record(0, 0, failed=True)
    assert acceptance.rate(0) < 0.8
    for _ in range(40):
        acceptance.record(0, 0, failed=True)
    assert acceptance.rate(0) < 0.2


def test_kinds_are_apart():
    acceptance = Acceptance(2, 16)
    acceptance.record(0, 5, failed=False)
    assert acceptance.rate(1) == FIRST_RATE


def test_a_request_begins_with_what_others_learned_and_teaches_them():
    everyone = Acceptance(1, 64)
    first, second = Acceptance(1, 16, everyone), Acceptance(1, 16, everyone)
    for _ in range(50):
        first.record(0, 0, failed=True)
    assert second.rate(0) == pytest.approx(everyone.rate(0))
    assert second.rate(0) < 0.05


def test_a_rate_is_a_chance():
    acceptance = Acceptance(1, 16)
    acceptance.record(0, 0, failed=False)
    assert 0 <= acceptance.rate(0) <= 1
    acceptance.record(0, 1000, failed=False)
    assert acceptance.rate(0) < 1
