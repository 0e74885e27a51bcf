"""What is known of one sequence's guesses: how often they are right, and what they may cost."""

from __future__ import annotations

from dataclasses import dataclass

from pyllm.speculation.acceptance import Acceptance

# Shares of the time of a step. What guessing loses stays within EARNED of the run time, plus the
# first allowance.
FIRST_CREDIT = 0.3
MOST_CREDIT = 4.0
EARNED = 0.005


@dataclass(slots=True)
class Outlook:
    """Guesses are paid from a credit, in seconds, that gains and the passing of time fill."""

    acceptance: Acceptance
    credit_s: float
    earned_at_s: float  # the time that had passed when it earned last
    kind: int = 0  # of the guesses offered for this step

    def earn(self, passed_s: float, share_s: float) -> None:
        """The sequence's shares of all steps so far are `passed_s`, that of one is `share_s`."""
        earned = EARNED * (passed_s - self.earned_at_s)
        self.credit_s = min(self.credit_s + earned, MOST_CREDIT * share_s)
        self.earned_at_s = passed_s
