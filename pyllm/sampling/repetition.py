"""Ending a text that has begun to run in circles (vLLM's `repetition_detection`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


class RepetitionDetector:
    """Follows an output token by token; each costs one look at every size, whatever was written."""

    def __init__(self, params: RepetitionDetectionParams) -> None:
        self._longest = params.max_pattern_size
        self._shortest = max(1, params.min_pattern_size)
        # Longest first, as the tokens that lie so far back are.
        sizes = np.arange(self._longest, self._shortest - 1, -1)
        self._needed = sizes * (params.min_count - 1)
        self._runs = np.zeros_like(sizes)  # last tokens that equal the one a pattern before them
        # The last tokens, behind as many that equal none: no pattern reaches before the output.
        self._tokens: npt.NDArray[np.int32] = np.full(2 * self._longest + 64, -1, np.int32)
        self._count = self._longest

    def add(self, token: int) -> bool:
        """Whether the output ends, with this token, in a pattern `min_count` times in a row."""
        if self._count == len(self._tokens):
            kept = self._tokens[self._count - self._longest :].copy()
            self._tokens[: self._longest] = kept
            self._count = self._longest
        place = self._count
        before = self._tokens[place - self._longest : place - self._shortest + 1]
        self._runs = np.where(before == token, self._runs + 1, 0)
        self._tokens[place] = token
        self._count += 1
        return bool((self._runs >= self._needed).any())
