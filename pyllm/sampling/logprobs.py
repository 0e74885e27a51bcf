"""Log-probabilities as a caller sees them, and as few objects where millions of them are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, MutableSequence
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pyllm.outputs import Logprob

__all__ = ["Entry", "FlatLogprobs", "RowLogprobs", "column_width"]

MAX_COLUMN_LOGPROBS = 20  # width of the program's top_ids column; more are read from the logits

Columns = Mapping[str, npt.NDArray[Any]]
Entry = tuple[int, float, int | None]  # token, log-probability, rank from 1


@dataclass
class FlatLogprobs(MutableSequence[dict[int, Logprob] | None]):
    """vLLM's flat form of list[dict[int, Logprob]]: a few long lists instead of many objects.

    Reads like the list; position i is entries [start_indices[i], end_indices[i]) of the others.
    """

    start_indices: list[int] = field(default_factory=list)
    end_indices: list[int] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ranks: list[int | None] = field(default_factory=list)
    decoded_tokens: list[str | None] = field(default_factory=list)

    def append(self, value: dict[int, Logprob] | None) -> None:
        self.start_indices.append(len(self.token_ids))
        for token, logprob in (value or {}).items():
            self.token_ids.append(token)
            self.logprobs.append(logprob.logprob)
            self.ranks.append(logprob.rank)
            self.decoded_tokens.append(logprob.decoded_token)
        self.end_indices.append(len(self.token_ids))

    def __len__(self) -> int:
        return len(self.start_indices)

    @overload
    def __getitem__(self, index: int) -> dict[int, Logprob]: ...
    @overload
    def __getitem__(self, index: slice) -> FlatLogprobs: ...
    def __getitem__(self, index: int | slice) -> dict[int, Logprob] | FlatLogprobs:
        if isinstance(index, slice):
            return self._slice(range(*index.indices(len(self))))
        return {
            self.token_ids[i]: Logprob(self.logprobs[i], self.ranks[i], self.decoded_tokens[i])
            for i in range(self.start_indices[index], self.end_indices[index])
        }

    def _slice(self, positions: range) -> FlatLogprobs:
        """Copies lists and makes no dictionary: CUMULATIVE asks for everything with each token."""
        if positions.step != 1 or not positions:
            part = FlatLogprobs()
            for position in positions:
                part += self._slice(range(position, position + 1))
            return part
        first, last = self.start_indices[positions[0]], self.end_indices[positions[-1]]
        starts = self.start_indices[positions.start : positions.stop]
        ends = self.end_indices[positions.start : positions.stop]
        return FlatLogprobs(
            [start - first for start in starts] if first else starts,
            [end - first for end in ends] if first else ends,
            self.token_ids[first:last],
            self.logprobs[first:last],
            self.ranks[first:last],
            self.decoded_tokens[first:last],
        )

    def extend(self, values: Iterable[dict[int, Logprob] | None]) -> None:
        if not isinstance(values, FlatLogprobs):
            super().extend(values)
            return
        offset = len(self.token_ids)
        self.start_indices += [start + offset for start in values.start_indices]
        self.end_indices += [end + offset for end in values.end_indices]
        self.token_ids += values.token_ids
        self.logprobs += values.logprobs
        self.ranks += values.ranks
        self.decoded_tokens += values.decoded_tokens

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError("FlatLogprobs can only grow at its end")

    def __delitem__(self, index: Any) -> None:
        raise TypeError("FlatLogprobs can only grow at its end")

    def insert(self, index: int, value: Any) -> None:  # noqa: ARG002
        raise TypeError("FlatLogprobs can only grow at its end")


class RowLogprobs:
    """What the program says of the rows of a step; many rows are read as few long columns."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._num_rows = 0
        self._own: list[Entry] | None = None  # of each row's own token; None: not read yet
        self._best: tuple[list[list[int]], list[list[float]]] = [], []

    def begin(self, num_rows: int) -> None:
        """The columns hold something new."""
        self._num_rows = num_rows
        self._own = None

    def read(
        self, row: int, count: int, only: Collection[int] | None = None
    ) -> tuple[Entry, Iterable[Entry]]:
        """The row's own token, and the wanted ones, best first; ids below 0 are none.

        count  so many of the best tokens; -1: the whole vocabulary
        only   these tokens instead, in this order
        """
        if self._own is None:
            self._own = self._read_columns()
        own, columns = self._own[row], self._columns
        if only is not None:
            wanted = np.fromiter(only, np.int64, len(only))
            return own, _entries_of(columns, row, wanted, None)
        if 0 <= count <= MAX_COLUMN_LOGPROBS:
            ids, values = self._best
            return own, zip(ids[row], values[row], range(1, count + 1), strict=False)
        best = _best(columns["logits"][row], count)
        return own, _entries_of(columns, row, best, range(1, len(best) + 1))

    def _read_columns(self) -> list[Entry]:
        columns, rows = self._columns, slice(self._num_rows)
        width = max(0, int(columns["n_logprobs"][rows].max()))
        self._best = (
            columns["top_ids"][rows, :width].tolist(),
            columns["top_logprobs"][rows, :width].tolist(),
        )
        own = (columns[name][rows].tolist() for name in ("sampled", "logprob", "rank"))
        return list(zip(*own, strict=True))


def column_width(count: int | None, only: Collection[int] | None) -> int:
    """The n_logprobs column of a row that RowLogprobs will be asked about; -1: it will not."""
    if only is not None:
        return 0
    if count is None:
        return -1
    return count if 0 <= count <= MAX_COLUMN_LOGPROBS else 0


def _entries_of(
    columns: Columns, row: int, ids: npt.NDArray[Any], ranks: SequenceOf[int] | None
) -> list[Entry]:
    exact = columns["logits"][row][ids].astype(np.float64) - columns["log_sum"][row]
    values = exact.astype(np.float32).tolist()  # the bits the program's own columns would hold
    if ranks is None:
        return [(token, value, None) for token, value in zip(ids.tolist(), values, strict=True)]
    return list(zip(ids.tolist(), values, ranks, strict=True))


def _best(logits: npt.NDArray[np.float32], count: int) -> npt.NDArray[Any]:
    """Ids of the `count` largest logits, best first, the lowest id first among equals."""
    ids = np.arange(len(logits))
    if 0 < count < len(logits):
        ids = np.flatnonzero(logits >= np.partition(logits, -count)[-count])
    order = np.argsort(-logits[ids], kind="stable")
    return ids[order[: count if count > 0 else len(ids)]]
