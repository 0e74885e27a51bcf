"""Runs the step that a batch describes; masks that are not there yet are written meanwhile."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pyllm.engine.batch import Step
from pyllm.engine.model import Program

if TYPE_CHECKING:
    from pyllm.structured.mask_writer import MaskWriter


class StepRunner:
    """Of one program; the results are in its columns. Raises what the program raises."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def run(self, step: Step) -> None:
        program, masks = self._program, step.masks
        inputs = step.n_tokens, step.n_seqs, step.n_rows, step.history, step.bias
        n_hidden = step.n_hidden
        if masks is None:
            program.step(*inputs, dry=step.dry, n_hidden=n_hidden)
            return
        if not masks.unwritten:
            program.step(*inputs, masks=masks.arrays, dry=step.dry, n_hidden=n_hidden)
            return
        gate = program.mask_gate
        with self._mask_writer.writing(masks, gate):
            program.step(
                *inputs, masks=masks.arrays, mask_gate=gate, dry=step.dry, n_hidden=n_hidden
            )

    # Imported late: llguidance takes 60 ms, and only requests with a grammar need it.

    @cached_property
    def _mask_writer(self) -> MaskWriter:
        from pyllm.structured.mask_writer import MaskWriter

        return MaskWriter()
