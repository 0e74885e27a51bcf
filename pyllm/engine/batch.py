"""One step as columns of numbers: what C++ reads of the scheduled sequences."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sized
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm.engine.sequence import Sequence
from pyllm.engine.step_masks import StepMasks, step_masks
from pyllm.sampling.logprobs import column_width
from pyllm.sampling.params import GREEDY_BELOW
from pyllm.sampling.token_bias import NO_BIAS, BiasArrays

Columns = Mapping[str, npt.NDArray[Any]]
Arrays = tuple[npt.NDArray[Any], ...]


@dataclass(slots=True)
class Scored:
    """Rows that report on tokens of a prompt: those of positions [first_position, + count).

    They say how probable these tokens are, or are the states of the tokens themselves.
    """

    sequence: Sequence
    first_position: int
    count: int
    first_row: int


@dataclass(slots=True)
class Step:
    """Arguments of one `Program.step`, and what its rows are for: sampling, scoring, states.

    A sequence with a draft of k tokens has k + 1 rows, one after the other: the row after its
    i-th guess samples as if the guesses before it were its output.
    """

    n_tokens: int
    n_seqs: int
    n_rows: int  # of logits
    n_hidden: int  # rows behind them
    rows: list[Sequence]  # that sample
    history: Arrays | None  # offsets int32 [n_rows + 1], tokens int32 [], counts int32 []
    bias: Arrays | None  # offsets int32 [n_rows + 1], tokens int32 [], values float32 []
    dry: Arrays | None  # as bias
    masks: StepMasks | None
    scored: list[Scored]
    hidden: list[Scored]
    has_processors: bool

    @property
    def reads_prompt(self) -> bool:
        """Some tokens are a prompt's, and sample nothing."""
        return self.n_tokens > len(self.rows)


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
        self._rows: list[Sequence] | None = None  # whose sampling parameters the columns hold
        self._has_history = self._has_bias = self._has_dry = False
        self._has_masks = False
        self._has_processors = self._has_mirostat = False
        self._tables: list[list[int]] = [[] for _ in self._block_tables]  # what each row holds
        self._table_lengths = [0] * len(self._block_tables)

    def fill(self, scheduled: list[Sequence]) -> Step:
        """Write the columns of a step in which each sequence computes `num_scheduled_tokens`."""
        tokens: list[int] = []
        positions: list[int] = []
        starts = [0]
        rows: list[Sequence] = []
        logit_rows: list[int] = []
        scored: list[Scored] = []
        scored_rows: list[int] = []
        hidden: list[Scored] = []
        hidden_rows: list[int] = []
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
            if sequence.next_scored <= end:
                if sequence.reads_hidden:  # and samples nothing
                    hidden_rows += _read_hidden(sequence, first, end, starts[-1], hidden)
                    starts.append(len(tokens))
                    continue
                scored_rows += _score(sequence, first, end, starts[-1], scored)
            starts.append(len(tokens))
            if end == len(sequence.tokens):  # the last known token: its successor is wanted
                rows.append(sequence)
                logit_rows.append(len(tokens) - 1)
            elif sequence.draft:  # and the successors of the tokens that are guessed
                num_wanted = 1 + len(sequence.draft)
                rows += [sequence] * num_wanted
                logit_rows += range(len(tokens) - num_wanted, len(tokens))
        num_rows = len(rows)
        logit_rows += scored_rows
        logit_rows += hidden_rows
        self._tokens[: len(tokens)] = tokens
        self._positions[: len(tokens)] = positions
        self._seq_starts[: len(starts)] = starts
        self._logit_rows[: len(logit_rows)] = logit_rows
        self._fill_block_tables(scheduled)
        if rows != self._rows:
            self._fill_sampling(rows)
        # Random numbers belong to the absolute position of the token they choose.
        chosen = [positions[row] + 1 for row in logit_rows[:num_rows]]
        self._rng_position[:num_rows] = chosen
        if self._has_mirostat:
            self.columns["mirostat_mu"][:num_rows] = [sequence.mirostat_mu for sequence in rows]
        if scored:
            self._fill_scored(scored, num_rows)
        num_scored = len(scored_rows)
        return Step(
            n_tokens=len(tokens),
            n_seqs=len(scheduled),
            n_rows=num_rows + num_scored,
            n_hidden=len(hidden_rows),
            rows=rows,
            history=_history(rows, chosen, num_scored) if self._has_history else None,
            bias=_bias(rows, chosen, num_scored) if self._has_bias else None,
            dry=_dry(rows, num_scored) if self._has_dry else None,
            masks=step_masks(rows) if self._has_masks else None,
            scored=scored,
            hidden=_placed(hidden, num_rows + num_scored) if hidden else hidden,
            has_processors=self._has_processors,
        )

    def _fill_scored(self, scored: list[Scored], num_rows: int) -> None:
        """Rows behind those that sample report on tokens that are known."""
        columns = self.columns
        for part in scored:
            part.first_row += num_rows
            sequence, first = part.sequence, part.first_position
            place = slice(part.first_row, part.first_row + part.count)
            columns["target"][place] = sequence.tokens[first : first + part.count]
            columns["n_logprobs"][place] = column_width(sequence.params.prompt_logprobs, None)
            columns["deferred"][place] = 0
        self._rows = None  # these columns must be written anew before such a row samples

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
        self.columns["temperature"][:count] = [
            p.temperature * (p.temperature >= GREEDY_BELOW) for p in params
        ]
        self.columns["top_k"][:count] = [max(p.top_k, 0) for p in params]
        self.columns["n_logprobs"][:count] = [
            column_width(p.logprobs, p.logprob_token_ids) for p in params
        ]
        self.columns["target"][:count] = -1
        self.columns["deferred"][:count] = [bool(sequence.processors) for sequence in rows]
        orders = [sequence.sampler_order for sequence in rows]
        self.columns["sampler_order"][:count] = orders
        if any(orders):
            for name in _READ_BY_ORDER:
                self.columns[name][:count] = [getattr(p, name) for p in params]
        self.columns["seed"][:count] = np.array([s.seed for s in rows], dtype=np.uint64)
        self._has_history = any(sequence.history is not None for sequence in rows)
        self._has_bias = any(sequence.bias is not None for sequence in rows)
        self._has_dry = any(sequence.dry is not None for sequence in rows)
        self._has_masks = any(sequence.is_masked for sequence in rows)
        self._has_processors = any(sequence.processors for sequence in rows)
        self._has_mirostat = any(p.mirostat for p in params)
        self._rows = rows


_COPIED = (
    "top_p",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
)
# Read by rows with a sampler order only.
_READ_BY_ORDER = (
    "typical_p",
    "top_n_sigma",
    "xtc_probability",
    "xtc_threshold",
    "dynatemp_range",
    "dynatemp_exponent",
    "mirostat_tau",
    "mirostat_eta",
    "min_keep",
)


def _score(sequence: Sequence, first: int, end: int, start: int, scored: list[Scored]) -> list[int]:
    """The T rows that predict the wanted prompt tokens behind positions [first, end).

    start  T row of position `first`
    """
    position = max(sequence.next_scored, first + 1)
    count = min(end + 1, sequence.num_prompt_tokens) - position
    if count <= 0:
        return []
    before = sum(part.count for part in scored)
    scored.append(Scored(sequence, position, count, before))
    row = start + position - 1 - first
    return list(range(row, row + count))


def _read_hidden(
    sequence: Sequence, first: int, end: int, start: int, hidden: list[Scored]
) -> list[int]:
    """The T rows of the tokens of [first, end) whose states are wanted.

    start  T row of position `first`
    """
    # Behind all tokens stands who wants the last alone.
    position = min(max(sequence.next_scored, first), sequence.num_prompt_tokens - 1)
    count = end - position
    if not count:  # it comes back after a preemption, and had these before
        return []
    hidden.append(Scored(sequence, position, count, sum(part.count for part in hidden)))
    return list(range(start + position - first, start + end - first))


def _placed(parts: list[Scored], first_row: int) -> list[Scored]:
    """Behind the rows that have logits."""
    for part in parts:
        part.first_row += first_row
    return parts


def _history(rows: list[Sequence], chosen: list[int], num_scored: int) -> Arrays:
    """What each row has seen; `chosen` is the position of the token it samples."""
    tokens: list[array[int]] = []
    counts: list[array[int]] = []
    for sequence, position in zip(rows, chosen, strict=True):
        history = sequence.history
        if history is None:
            tokens.append(_NO_INTS)
            counts.append(_NO_INTS)
        elif not sequence.draft:
            tokens.append(history.tokens)
            counts.append(history.counts)
        else:
            row_tokens, row_counts = history.after(
                sequence.draft[: position - len(sequence.tokens)]
            )
            tokens.append(row_tokens)
            counts.append(row_counts)
    return _offsets(tokens, num_scored), _int32(tokens), _int32(counts)


def _int32(parts: list[array[int]]) -> npt.NDArray[np.int32]:
    return np.frombuffer(b"".join(parts), np.int32)


def _bias(rows: list[Sequence], chosen: list[int], num_scored: int) -> Arrays:
    return _joined(list(map(_bias_of, rows, chosen)), num_scored)


def _bias_of(sequence: Sequence, position: int) -> BiasArrays:
    """Of the token at `position`: those before it that are guesses forbid nothing."""
    if sequence.bias is None:
        return NO_BIAS
    start = sequence.num_prompt_tokens
    must_not_stop = position - start < sequence.params.min_tokens
    return sequence.bias.after(sequence.tokens, start, must_not_stop=must_not_stop)


def _dry(rows: list[Sequence], num_scored: int) -> Arrays:
    penalties = [NO_BIAS if row.dry is None else row.dry.penalties() for row in rows]
    return _joined(penalties, num_scored)


def _joined(biases: list[BiasArrays], num_scored: int) -> Arrays:
    tokens = [tokens for tokens, _ in biases]
    values = np.concatenate([values for _, values in biases])
    return _offsets(tokens, num_scored), np.concatenate(tokens), values


_NO_INTS = array("i")


def _offsets(parts: SequenceOf[Sized], num_scored: int) -> npt.NDArray[np.int32]:
    """Where each part begins and the last one ends; rows that are scored have none."""
    offsets = np.zeros(len(parts) + 1 + num_scored, np.int32)
    np.cumsum([len(part) for part in parts], out=offsets[1 : len(parts) + 1])
    offsets[len(parts) + 1 :] = offsets[len(parts)]
    return offsets
