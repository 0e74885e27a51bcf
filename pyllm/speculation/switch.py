"""Speculation for as long as its code works: the output is the same without it."""

from __future__ import annotations

import logging

from pyllm.kv.cache import KVCache
from pyllm.speculation.proposer import Proposer
from pyllm.speculation.speculator import Speculator

_log = logging.getLogger(__name__)

# Steps that failed without any request being at fault, until guessing is taken to be.
MAX_FAILURES = 3


class SpeculationSwitch:
    """Holds the proposer until it is dropped; whoever made it closes it."""

    def __init__(self, proposer: Proposer | None) -> None:
        self._proposer = proposer
        self._num_failures = 0

    def start(self, kv_cache: KVCache, *, max_rows: int) -> Speculator | None:
        """A new speculator for an empty cache; None: every step yields one token each."""
        if self._proposer is None:
            return None
        try:
            self._proposer.reset()
        except Exception as error:
            self._drop(error)
            return None
        return Speculator(self._proposer, kv_cache, max_rows=max_rows)

    def suspect(self, error: BaseException, *, alone: bool) -> None:
        """A step failed. `alone`: no request ran yet, so that guessing is the likely cause."""
        self._num_failures += 1
        if self._proposer is not None and (alone or self._num_failures >= MAX_FAILURES):
            self._drop(error)

    def clear(self) -> None:
        """A request turned out to be at fault."""
        self._num_failures = 0

    def _drop(self, error: BaseException) -> None:
        _log.warning("speculation is switched off, its code may have failed", exc_info=error)
        self._proposer = None
