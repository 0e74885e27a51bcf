"""Ending a text that has begun to run in circles (vLLM's `repetition_detection`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyllm.checks import check_integer
from pyllm.errors import RequestError

_MAX_PATTERN_SIZE = 1024  # every token is followed by a look at each size
_MAX_COUNT = 1024


@dataclass(slots=True)
class RepetitionDetectionParams:
    """Ends a sequence once its last tokens are one pattern `min_count` times in a row.

    max_pattern_size  tokens of the longest pattern looked for; 0 looks for none
    min_pattern_size  tokens of the shortest one; 0 means 1
    min_count         times in a row, at least 2
    """

    max_pattern_size: int = 0
    min_pattern_size: int = 0
    min_count: int = 0

    def __post_init__(self) -> None:
        check_integer("max_pattern_size", self.max_pattern_size, 0, _MAX_PATTERN_SIZE)
        check_integer("min_pattern_size", self.min_pattern_size, 0, _MAX_PATTERN_SIZE)
        check_integer("min_count", self.min_count, 0, _MAX_COUNT)
        if self.min_pattern_size > self.max_pattern_size:
            limit = f"must not exceed max_pattern_size ({self.max_pattern_size})"
            raise RequestError("min_pattern_size", self.min_pattern_size, limit)
        if self.max_pattern_size and self.min_count < 2:
            raise RequestError("min_count", self.min_count, "must be at least 2")


def ends_in_repetition(
    tokens: Sequence[int], start: int, params: RepetitionDetectionParams
) -> bool:
    """Whether tokens[start:] ends with a pattern, `min_count` times in a row."""
    for size in range(max(1, params.min_pattern_size), params.max_pattern_size + 1):
        length = size * params.min_count
        if length > len(tokens) - start:
            return False
        # Most sizes are out at their last token; equal to itself one pattern later is periodic.
        if tokens[-1] == tokens[-1 - size] and (
            tokens[-length:-size] == tokens[len(tokens) - length + size :]
        ):
            return True
    return False
