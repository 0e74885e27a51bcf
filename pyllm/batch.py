"""One step as columns of numbers: what C++ reads of the scheduled sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm.sequence import Sequence
from pyllm.step_masks import StepMasks, step_masks
from pyllm.token_bias import NO_BIAS

Columns = Mapping[str, npt.NDArray[Any]]
Arrays = tuple[npt.NDArray[Any], ...]


@dataclass(slots=True)
class Step:
    """Arguments of one `Program.step`, and the sequences its rows sample for.

    A sequence with a draft of k tokens has k + 1 rows, one after the other: the row after its
    i-th guess samples as if the guesses before it were its output.
    """

    n_tokens: int
    n_seqs: int
    rows: list[Sequence]
    history: Arrays | None  # offsets int32 [rows + 1], tokens int32 [], counts int32 []
    bias: Arrays | None  # offsets int32 [rows + 1], tokens int32 [], values float32 []
    masks: StepMasks | None


class Batch:
    """Fills the program's preallocated columns; rewrites only what changed since the last step."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._tokens = columns["tokens"]  # int32 [max tokens]
        self._positions = columns["positions"]  # int32 [max tokens]
        self._seq_starts = columns["seq_starts"]  # int32 [max seqs + 1]
        self._block_tables = columns["block_tables"]  # int32 [max seqs, max blocks]
        self._logit_rows = columns["logit_rows"]  # int32 [max rows]
        self._rng_position = columns["rng_position"]  # int64 [max rows]
        self._rows: list[Sequence] = []  # whose sampling parameters the columns hold
        self._has_history = self._has_bias = self._has_masks = False
        self._tables: list[list[int]] = [[] for _ in self._block_tables]  # what each row holds
        self._table_lengths = [0] * len(self._block_tables)

    def fill(self, scheduled: list[Sequence]) -> Step:
        """Write the columns of a step in which each sequence computes `num_scheduled_tokens`."""
        tokens: list[int] = []
        positions: list[int] = []
        starts = [0]
        rows: list[Sequence] = []
        logit_rows: list[int] = []
        for sequence in scheduled:
            first = sequence.num_computed_tokens
            end = first + sequence.num_scheduled_tokens
            if end == first + 1:
                tokens.append(sequence.tokens[first])
                positions.append(first)
            else:
                tokens += sequence.tokens[first:end]
                tokens += sequence.draft
                positions += range(first, end)
            starts.append(len(tokens))
            if end == len(sequence.tokens):  # the last known token: its successor is wanted
                rows.append(sequence)
                logit_rows.append(len(tokens) - 1)
            elif sequence.draft:  # and the successors of the tokens that are guessed
                num_wanted = 1 + len(sequence.draft)
                rows += [sequence] * num_wanted
                logit_rows += range(len(tokens) - num_wanted, len(tokens))
        num_rows = len(rows)
        self._tokens[: len(tokens)] = tokens
        self._positions[: len(tokens)] = positions
        self._seq_starts[: len(starts)] = starts
        self._logit_rows[:num_rows] = logit_rows
        self._fill_block_tables(scheduled)
        if rows != self._rows:
            self._fill_sampling(rows)
        # Random numbers belong to the absolute position of the token they choose.
        chosen = [positions[row] + 1 for row in logit_rows]
        self._rng_position[:num_rows] = chosen
        return Step(
            n_tokens=len(tokens),
            n_seqs=len(scheduled),
            rows=rows,
            history=_history(rows, chosen) if self._has_history else None,
            bias=_bias(rows, chosen) if self._has_bias else None,
            masks=step_masks(rows) if self._has_masks else None,
        )

    def _fill_block_tables(self, scheduled: list[Sequence]) -> None:
        """Tables only grow while their list lives, so identity and length tell what is new."""
        tables, lengths = self._tables, self._table_lengths
        for row, sequence in enumerate(scheduled):
            table = sequence.block_table
            length = len(table)
            if table is not tables[row]:
                self._block_tables[row, :length] = table
                tables[row], lengths[row] = table, length
            elif length != lengths[row]:
                self._block_tables[row, lengths[row] : length] = table[lengths[row] :]
                lengths[row] = length

    def _fill_sampling(self, rows: list[Sequence]) -> None:
        count = len(rows)
        params = [sequence.params for sequence in rows]
        for name in _COPIED:
            self.columns[name][:count] = [getattr(p, name) for p in params]
        self.columns["temperature"][:count] = [p.temperature * (not p.is_greedy) for p in params]
        self.columns["top_k"][:count] = [max(p.top_k, 0) for p in params]
        no_logprobs = -1
        self.columns["n_logprobs"][:count] = [
            no_logprobs if p.logprobs is None else p.logprobs for p in params
        ]
        self.columns["seed"][:count] = np.array([s.seed for s in rows], dtype=np.uint64)
        self._has_history = any(sequence.history is not None for sequence in rows)
        self._has_bias = any(sequence.bias is not None for sequence in rows)
        self._has_masks = any(sequence.is_masked for sequence in rows)
        self._rows = rows


_COPIED = (
    "top_p",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
)


def _history(rows: list[Sequence], chosen: list[int]) -> Arrays:
    """What each row has seen; `chosen` is the position of the token it samples."""
    seen = [
        (_NO_INTS, _NO_INTS)
        if sequence.history is None
        else sequence.history.after(sequence.draft[: position - len(sequence.tokens)])
        for sequence, position in zip(rows, chosen, strict=True)
    ]
    tokens = [tokens for tokens, _ in seen]
    return _offsets(tokens), np.concatenate(tokens), np.concatenate([c for _, c in seen])


def _bias(rows: list[Sequence], chosen: list[int]) -> Arrays:
    biases = [
        NO_BIAS
        if sequence.bias is None
        else sequence.bias.before_min_tokens
        if position - sequence.num_prompt_tokens < sequence.params.min_tokens
        else sequence.bias.usual
        for sequence, position in zip(rows, chosen, strict=True)
    ]
    tokens = [tokens for tokens, _ in biases]
    return _offsets(tokens), np.concatenate(tokens), np.concatenate([v for _, v in biases])


_NO_INTS: npt.NDArray[np.int32] = np.empty(0, np.int32)


def _offsets(parts: list[npt.NDArray[Any]]) -> npt.NDArray[np.int32]:
    offsets = np.zeros(len(parts) + 1, np.int32)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    return offsets
