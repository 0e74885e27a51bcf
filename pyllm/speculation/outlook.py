"""What is known of one sequence's guesses: how often they are right, and what they may cost."""

from __future__ import annotations

from dataclasses import dataclass

from pyllm.speculation.acceptance import Acceptance

# Shares of the time of a step. What guessing loses stays within EARNED of the run time, plus the
# first allowance.
FIRST_CREDIT = 0.5
MOST_CREDIT = 4.0
EARNED = 0.005


@dataclass(slots=True)
class Outlook:
    """Guesses are paid from a credit, in seconds, that gains and the passing of time fill."""

    acceptance: Acceptance
    credit_s: float
    kind: int = 0  # of the guesses offered for this step

    def earn(self, step_s: float) -> None:
        """Another step, of which the sequence's share is `step_s`, passes."""
        self.credit_s = min(self.credit_s + EARNED * step_s, MOST_CREDIT * step_s)
