"""Documents as rows of token ids, ready for training.

A row is uint16 [ROW]; documents lie one behind the other, each begins with BOS, what is left is
filled with BOS. LEARN marks tokens the model is to write; it must be cleared before use.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .corpus.documents import documents
from .tokens import BOS, Tokens

ROW = 2048
ROWS_PER_SHARD = 256
LEARN = np.uint16(0x8000)
_OPEN_ROWS = 16
_DOCUMENTS = 100_000  # more than fill a shard

Rows = npt.NDArray[np.uint16]


def make_shard(job: tuple[str, int, int]) -> Rows:
    """uint16 [ROWS_PER_SHARD, ROW] of (tokenizer path, seed, number of the shard)."""
    path, seed, shard = job
    tokens = _tokens(path)
    rows: list[Rows] = []
    open_rows: list[list[Rows]] = [[] for _ in range(_OPEN_ROWS)]
    filled = [0] * _OPEN_ROWS
    for ids in _encoded(tokens, seed, shard):
        fits = next((i for i in range(_OPEN_ROWS) if filled[i] + len(ids) <= ROW), None)
        if fits is None:
            fits = max(range(_OPEN_ROWS), key=filled.__getitem__)
            rows.append(_closed(open_rows[fits]))
            open_rows[fits], filled[fits] = [], 0
            if len(rows) == ROWS_PER_SHARD:
                return np.stack(rows)
        open_rows[fits].append(ids)
        filled[fits] += len(ids)
    raise RuntimeError(f"{_DOCUMENTS} documents do not fill a shard")


def _encoded(tokens: Tokens, seed: int, shard: int) -> Iterator[Rows]:
    for document in documents(seed, shard, _DOCUMENTS):
        ids: list[int] = [BOS]
        for text, learn in document:
            mark = int(LEARN) if learn else 0
            ids += [token | mark for token in tokens.encode(text)]
        if len(ids) <= ROW:
            yield np.array(ids, np.uint16)


def _closed(documents: list[Rows]) -> Rows:
    row = np.full(ROW, BOS, np.uint16)
    joined = np.concatenate(documents)
    row[: len(joined)] = joined
    return row


@lru_cache(maxsize=1)
def _tokens(path: str) -> Tokens:
    return Tokens(path)
