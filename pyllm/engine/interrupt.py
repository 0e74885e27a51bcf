"""How a step that was told to stop reports it."""

from __future__ import annotations


class StepInterrupted(Exception):
    """The step ended early: nothing it wrote counts, and the same step may be run again."""
