"""Merging symbols into tokens in C++: the inner loop of BPE and of SentencePiece vocabularies.

The `tokenizers` and `sentencepiece` packages encode prose three to five times slower
(bench/tokenizer.py); the tests compare with both, encoding itself goes through this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pyllm.c_types import ffi as _ffi
from pyllm.errors import TokenizerError

if TYPE_CHECKING:
    from pyllm.gguf import StringArray

__all__ = ["Ids", "IntegerLists", "MergeTable", "Offsets", "read_rules"]

Ids: TypeAlias = npt.NDArray[np.int32]
Offsets: TypeAlias = npt.NDArray[np.int64]

_NO_MEMORY: Final = -2


@cache
def _library() -> Any:
    spec = find_spec("pyllm._core")
    if spec is None or spec.origin is None:
        raise ImportError(
            "pyllm's compiled extension (pyllm._core) is missing; "
            "install pyllm with pip, or run scripts/build in a checkout"
        )
    return _ffi.dlopen(spec.origin)


class IntegerLists:
    """Makes lists of token ids that share one int object per id.

    Three times as fast as ndarray.tolist(), and 8 bytes per token instead of 40.
    """

    def __init__(self, n_vocab: int) -> None:
        self._integers = np.arange(n_vocab).astype(np.object_)

    def __call__(self, tokens: Ids) -> list[int]:
        return self._integers[tokens].tolist()  # type: ignore[no-any-return]


@contextmanager
def _strings(array: StringArray) -> Iterator[Any]:
    """A string array as the core reads it, where it lies in the mapped file."""
    start, ends = array.place()
    with _ffi.from_buffer("uint8_t[]", array.data) as data:
        pointer = _ffi.cast("int64_t *", ends.ctypes.data)
        yield _ffi.new("pyllm_strings *", (data, start, pointer, len(array)))


def read_rules(tokens: StringArray, lines: StringArray) -> Ids | int:
    """Rules of a MergeTable from "left right" lines, or the number of the first wrong line."""
    rules = np.empty((len(lines), 4), np.int32)
    with _strings(tokens) as texts, _strings(lines) as merges:
        wrong = _library().pyllm_bpe_rules(texts, merges, _ffi.cast("int32_t *", rules.ctypes.data))
    _check_memory(wrong)
    return rules if wrong == -1 else int(wrong)


def _check_memory(status: int) -> None:
    if status == _NO_MEMORY:
        raise MemoryError("no memory for the vocabulary")


class MergeTable:
    """Rules (left, right, result, rank): neighbours merge lowest rank first, then leftmost.

    Immutable, so any number of threads may use it at once; the GIL is released while merging.
    """

    def __init__(self, rules: Ids) -> None:
        """`rules` is int32 [n, 4], values >= 0. Of two rules for a pair the first counts."""
        library = _library()
        self._merge_words = library.pyllm_merge_words
        rules = np.ascontiguousarray(rules, np.int32)
        handle = library.pyllm_merges_new(_ffi.cast("int32_t *", rules.ctypes.data), len(rules))
        if handle == _ffi.NULL:
            raise TokenizerError(f"a table of {len(rules)} merges cannot be built")
        # The lambda keeps the library open until the table is freed, also at interpreter exit.
        self._handle = _ffi.gc(handle, lambda table: library.pyllm_merges_free(table))

    def unmerged(self, tokens: StringArray, ids: Ids, symbols: Ids) -> list[int]:
        """Those of the tokens `ids` that merging the letters of their text does not build.

        `symbols` int32 [512] holds each letter's token by code point, -1 when its byte is no token,
        -2 for what stands for no byte; tokens with such letters are left out.
        """
        out = np.empty(len(ids), np.int32)
        with _strings(tokens) as texts:
            count = _library().pyllm_bpe_unmerged(
                self._handle,
                texts,
                _ffi.cast("int32_t *", ids.ctypes.data),
                len(ids),
                _ffi.cast("int32_t *", symbols.ctypes.data),
                _ffi.cast("int32_t *", out.ctypes.data),
            )
        _check_memory(count)
        return [int(token) for token in out[:count]]

    def merge(self, symbols: Ids, ends: Offsets) -> tuple[Ids, Offsets]:
        """Tokens of every word, one after another, and where each word's tokens end.

        Word w is symbols[ends[w - 1]:ends[w]]; the last end is len(symbols).
        """
        out = np.ascontiguousarray(symbols, np.int32)
        ends = np.ascontiguousarray(ends, np.int64)
        if (int(ends[-1]) if len(ends) else 0) != len(out):
            raise TokenizerError("words do not cover the text; please report this as a bug")
        out_ends = np.empty_like(ends)
        pointer = _ffi.cast("int32_t *", out.ctypes.data)
        count = self._merge_words(
            self._handle,
            pointer,
            _ffi.cast("int64_t *", ends.ctypes.data),
            len(ends),
            pointer,
            _ffi.cast("int64_t *", out_ends.ctypes.data),
        )
        if count < 0:
            raise TokenizerError(f"a text of {len(out)} symbols is too long to encode")
        return out[:count], out_ends
