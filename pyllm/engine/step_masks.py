"""The token masks of one step: those that are there already, and those yet to be written."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyllm.sampling.token_mask import UnwrittenMask, Words

if TYPE_CHECKING:
    from llguidance import LLMatcher

    from pyllm.engine.sequence import Sequence

_EVERYTHING = 0xFFFFFFFF


@dataclass(slots=True)
class StepMasks:
    """A line of `words` for each row that has a mask."""

    rows: npt.NDArray[np.int32]  # [m] ascending
    words: npt.NDArray[np.uint32]  # [m, ceil(n_vocab / 32)]
    unwritten: list[tuple[Callable[[], LLMatcher], int]]  # and the line each will limit further

    @property
    def arrays(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
        """As `Program.step` takes them; complete once the unwritten ones are written."""
        return self.rows, self.words


def step_masks(sequences: SequenceOf[Sequence]) -> StepMasks | None:
    """The masks of the sequences that the rows of a step sample for; None when they have none."""
    rows: list[int] = []
    masks: list[list[Words | UnwrittenMask]] = []
    for row, sequence in enumerate(sequences):
        asked = [part.next_mask() for part in (sequence.mask, sequence.grammar) if part is not None]
        if given := [mask for mask in asked if mask is not None]:
            rows.append(row)
            masks.append(given)
    return _laid_out(rows, masks) if rows else None


def _laid_out(rows: list[int], masks: list[list[Words | UnwrittenMask]]) -> StepMasks:
    first = masks[0][0]
    width = first.num_words if isinstance(first, UnwrittenMask) else len(first)
    words = np.full((len(rows), width), _EVERYTHING, np.uint32)
    unwritten = []
    for line, line_masks in enumerate(masks):
        for mask in line_masks:
            if isinstance(mask, UnwrittenMask):
                unwritten.append((mask.matcher, line))
            else:
                words[line] &= mask
    return StepMasks(np.array(rows, np.int32), words, unwritten)
