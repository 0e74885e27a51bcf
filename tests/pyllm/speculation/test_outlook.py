"""The credit: filled by time, up to a few steps."""

import pytest

from pyllm.speculation.acceptance import Acceptance
from pyllm.speculation.outlook import EARNED, MOST_CREDIT, Outlook


def test_time_that_passed_is_earned_once():
    outlook = Outlook(Acceptance(1, 16), credit_s=1.0, earned_at_s=10.0)
    outlook.earn(passed_s=30.0, share_s=2.0)
    assert outlook.credit_s == pytest.approx(1.0 + 20 * EARNED)
    outlook.earn(passed_s=30.0, share_s=2.0)
    assert outlook.credit_s == pytest.approx(1.0 + 20 * EARNED)


def test_credit_is_bounded_by_a_few_steps():
    outlook = Outlook(Acceptance(1, 16), credit_s=100.0, earned_at_s=0.0)
    outlook.earn(passed_s=1.0, share_s=2.0)
    assert outlook.credit_s == 2.0 * MOST_CREDIT
