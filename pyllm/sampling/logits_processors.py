"""Logits processors in Python: the step leaves their rows unsampled, they rewrite the logits, the
core samples from what they made.

Only the rows that have processors pay: a copy of the logits, the calls, and one row's sampling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyllm.engine.batch import Arrays, Step
from pyllm.engine.sequence import Sequence

__all__ = ["RowSampler", "sample_processed"]

Columns = Mapping[str, npt.NDArray[Any]]


class RowSampler(Protocol):
    """What is needed of a program."""

    def sample(
        self,
        row: int,
        logits: npt.NDArray[np.float32],
        history: Arrays | None = None,
        bias: Arrays | None = None,
        masks: Arrays | None = None,
        dry: Arrays | None = None,
    ) -> None: ...


def sample_processed(
    program: RowSampler, columns: Columns, step: Step
) -> list[tuple[Sequence, BaseException]]:
    """Sample the rows with processors; returns the sequences that failed and why."""
    failures: list[tuple[Sequence, BaseException]] = []
    masks = None if step.masks is None else step.masks.arrays
    for row, sequence in enumerate(step.rows):
        if not sequence.processors or columns["status"][row] != 0:
            continue
        try:
            logits = processed(sequence, columns["logits"][row])
            program.sample(row, logits, step.history, step.bias, masks, step.dry)
        except BaseException as error:  # whatever a caller's code does, its own request ends
            failures.append((sequence, error))
    return failures


def processed(sequence: Sequence, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the processors of a sequence make of `logits` [n_vocab], which stay as they are.

    Raises what they raise, and ValueError for another shape.
    """
    shape = logits.shape
    prompt = sequence.tokens[: sequence.num_prompt_tokens]
    output = sequence.tokens[sequence.num_prompt_tokens :]
    current = logits.copy()
    for processor in sequence.processors:
        result = processor(prompt, output, current)
        if result is not None:
            current = np.asarray(result, np.float32)
        if current.shape != shape:
            raise ValueError(f"returned an array of shape {current.shape}, allowed: {shape}")
    return current
