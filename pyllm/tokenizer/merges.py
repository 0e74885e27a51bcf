"""Merging symbols into tokens in C++: the inner loop of BPE and of SentencePiece vocabularies.

The `tokenizers` and `sentencepiece` packages encode prose three to five times slower
(bench/tokenizer.py); the tests compare with both, encoding itself goes through this table.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from cffi import FFI

from pyllm.errors import TokenizerError

__all__ = ["DECLARATIONS", "Ids", "IntegerLists", "MergeTable", "Offsets"]

Ids: TypeAlias = npt.NDArray[np.int32]
Offsets: TypeAlias = npt.NDArray[np.int64]

# The declarations of csrc/pyllm_tokenizer.h, which the wheel does not ship; a test compares them.
DECLARATIONS: Final = """
typedef struct pyllm_merges pyllm_merges;
pyllm_merges* pyllm_merges_new(const int32_t* rules, int64_t n);
void pyllm_merges_free(pyllm_merges* merges);
int64_t pyllm_merge_words(const pyllm_merges* merges, const int32_t* symbols, const int64_t* ends,
    int64_t n_words, int32_t* out, int64_t* out_ends);
"""

_ffi: Final = FFI()
_ffi.cdef(DECLARATIONS)


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
