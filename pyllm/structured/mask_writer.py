"""Masks are written on a thread of their own while the step that needs them computes its logits.

The mask of a token depends on the tokens before it, and those are known when the step begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from llguidance import LLExecutor
from llguidance.numpy import fill_next_token_bitmask_par

from pyllm.engine.step_masks import StepMasks


class Gate(Protocol):
    """Where sampling waits for the masks."""

    def close(self) -> None: ...
    def open(self) -> None: ...


class MaskWriter:
    """One writer for an engine; several masks of a step are written by several threads."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pyllm-masks")
        self._executor = LLExecutor()

    @contextmanager
    def writing(self, masks: StepMasks, gate: Gate) -> Iterator[None]:
        """Opens the gate when the masks are complete; they are, when the block is left."""
        gate.close()
        future = self._thread.submit(self._write, masks, gate)
        try:
            yield
        finally:
            future.result()

    def _write(self, masks: StepMasks, gate: Gate) -> None:
        words, lines = masks.words, [line for _, line in masks.unwritten]
        limits = words[lines]
        words[lines] = 0  # should the matchers fail
        try:
            matchers = [(matcher(), line) for matcher, line in masks.unwritten]
            fill_next_token_bitmask_par(self._executor, matchers, words.view(np.int32))
            words[lines] &= limits
        finally:
            gate.open()  # whatever happened: a step that waits for ever would hold the engine
