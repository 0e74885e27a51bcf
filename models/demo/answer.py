"""What an engine answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    text: str
    stopped: bool  # by itself, not at the limit of tokens
