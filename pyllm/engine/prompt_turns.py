"""How much of a prompt a step reads that others wait for: a chunk, or a slice beside it."""

from __future__ import annotations

import logging

from pyllm.engine.prompt_pace import PromptPace
from pyllm.engine.prompt_reader import PromptReader
from pyllm.errors import PyLLMError

__all__ = ["PromptTurns"]

_log = logging.getLogger(__name__)


class PromptTurns:
    """Asked once in a step for its chunk; then steps the reader, when the prompt is its.

    A slice comes last in a step, whose reports must not be lost for it: what it raises is raised by
    the next step. After a defect in it, all prompts are read by steps.
    """

    def __init__(self, pace: PromptPace) -> None:
        self.pace = pace
        self.reader: PromptReader | None = None
        self._works = True
        self._seconds_beside: float | None = None  # of this step with a slice; None: it has none
        self._error: BaseException | None = None

    def start(self, reader: PromptReader | None) -> None:
        """Nothing is being read; `reader` knows the scheduler that is asked from now on."""
        self.reader = reader if self._works else None
        self._seconds_beside = None

    def begin_step(self) -> None:
        """Raises what the slice of the step before raised."""
        self._seconds_beside = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def chunk_limit(self, num_decodes: int, depth: int) -> int | None:
        """Prompt tokens of this step, the first behind `depth` others; None: no limit.

        0: none, because decodes are measured alone, or because a slice of the prompt follows.
        """
        limit = self.pace.chunk_limit(num_decodes, depth)
        if limit and self.pace.is_slow(num_decodes) and self._goes_on_beside(num_decodes, limit):
            return 0
        return limit

    def _goes_on_beside(self, num_decodes: int, limit: int) -> bool:
        was_asked, self._seconds_beside = self._seconds_beside is not None, None
        if self.reader is None or was_asked:  # twice: no decode found a block, so it must run now
            return False
        whole, slice_seconds = self.pace.seconds_beside(num_decodes)
        if not self.reader.prepare(limit, slice_seconds):
            return False
        self._seconds_beside = whole
        return True

    def read_on(self, begin: float) -> None:
        """Read a slice, when one goes on beside this step, which began at `begin`.

        Last, when it is known how long the others took: nobody waits longer for it than agreed.
        """
        if self._seconds_beside is None or self.reader is None:
            return
        try:
            self.reader.read(begin + self._seconds_beside)
        except (
            PyLLMError,
            KeyboardInterrupt,
        ) as error:  # the machine's fault: it befalls everybody
            self._error = error
        except BaseException as error:
            _log.exception("a slice of a prompt failed; from now on steps read all prompts")
            self._works, self.reader, self._error = False, None, error
