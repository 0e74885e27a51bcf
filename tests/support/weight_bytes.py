"""Random weights in the file's own blocks, for a few types, without an encoder."""

from __future__ import annotations

import numpy as np

from pyllm import _core

# type name -> (ggml id, values per block, bytes per block, offsets of the block's f16 scales)
BLOCKS: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    "F32": (0, 1, 4, ()),
    "F16": (1, 1, 2, (0,)),
    "Q4_0": (2, 32, 18, (0,)),
    "Q5_0": (6, 32, 22, (0,)),
    "Q8_0": (8, 32, 34, (0,)),
    "Q4_K": (12, 256, 144, (0, 2)),
    "Q6_K": (14, 256, 210, (208,)),
}


def random_weight(name: str, rows: int, cols: int, seed: int = 0) -> _core.PackedTensor:
    """Random bits everywhere but in the scales, which are small numbers."""
    type_id, elements, block_bytes, scales = BLOCKS[name]
    rng = np.random.default_rng(seed)
    if name == "F32":
        blocks = rng.normal(size=(rows, cols)).astype(np.float32)
        return _core.PackedTensor.pack(type_id, rows, cols, blocks, 1)
    n_blocks = rows * cols // elements
    blocks = rng.integers(0, 256, (n_blocks, block_bytes), dtype=np.uint8)
    for at in scales:
        values = rng.normal(scale=0.01, size=n_blocks).astype(np.float16)
        blocks[:, at : at + 2] = values.view(np.uint8).reshape(n_blocks, 2)
    return _core.PackedTensor.pack(type_id, rows, cols, blocks, 1)
