"""Encodes one matrix with llama.cpp, in an interpreter that has llama-cpp-python.

python peer_encode.py IN.npy OUT.npz TYPE_ID:ROW_BYTES ...
"""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np


def main() -> None:
    values, out, *types = sys.argv[1:]
    x = np.load(values)
    library = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    rows, cols = x.shape
    results: dict[str, Any] = {}
    for entry in types:
        type_id, row_bytes = map(int, entry.split(":"))
        blocks = np.zeros((rows, row_bytes), np.uint8)
        start = time.perf_counter()
        library.ggml_quantize_chunk(
            type_id,
            ctypes.c_void_p(x.ctypes.data),
            ctypes.c_void_p(blocks.ctypes.data),
            ctypes.c_int64(0),
            ctypes.c_int64(rows),
            ctypes.c_int64(cols),
            None,
        )
        results[f"seconds_{type_id}"] = np.array(time.perf_counter() - start)
        results[f"blocks_{type_id}"] = blocks
    np.savez(out, **results)


if __name__ == "__main__":
    main()
