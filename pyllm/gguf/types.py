"""The ggml tensor types: id, name, elements and bytes of one block, and whether pyllm runs it.

A row (the first dimension) is stored as whole blocks; blocks are packed without padding.
Sizes follow the block structs of ggml; a test compares them with the gguf package's table.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["REMOVED_TYPE_IDS", "TENSOR_TYPES", "TensorType", "runnable_type_names"]


class TensorType(NamedTuple):
    """One ggml type. `runnable` is False for types a file may hold but no kernel multiplies."""

    id: int
    name: str
    block_elements: int
    block_bytes: int
    runnable: bool = True


_ROWS = (
    TensorType(0, "F32", 1, 4),
    TensorType(1, "F16", 1, 2),
    TensorType(2, "Q4_0", 32, 18),
    TensorType(3, "Q4_1", 32, 20),
    TensorType(6, "Q5_0", 32, 22),
    TensorType(7, "Q5_1", 32, 24),
    TensorType(8, "Q8_0", 32, 34),
    TensorType(9, "Q8_1", 32, 36),
    TensorType(10, "Q2_K", 256, 84),
    TensorType(11, "Q3_K", 256, 110),
    TensorType(12, "Q4_K", 256, 144),
    TensorType(13, "Q5_K", 256, 176),
    TensorType(14, "Q6_K", 256, 210),
    TensorType(15, "Q8_K", 256, 292),
    TensorType(16, "IQ2_XXS", 256, 66),
    TensorType(17, "IQ2_XS", 256, 74),
    TensorType(18, "IQ3_XXS", 256, 98),
    TensorType(19, "IQ1_S", 256, 50),
    TensorType(20, "IQ4_NL", 32, 18),
    TensorType(21, "IQ3_S", 256, 110),
    TensorType(22, "IQ2_S", 256, 82),
    TensorType(23, "IQ4_XS", 256, 136),
    TensorType(24, "I8", 1, 1, runnable=False),
    TensorType(25, "I16", 1, 2, runnable=False),
    TensorType(26, "I32", 1, 4, runnable=False),
    TensorType(27, "I64", 1, 8, runnable=False),
    TensorType(28, "F64", 1, 8, runnable=False),
    TensorType(29, "IQ1_M", 256, 56),
    TensorType(30, "BF16", 1, 2),
    TensorType(34, "TQ1_0", 256, 54),
    TensorType(35, "TQ2_0", 256, 66),
    TensorType(39, "MXFP4", 32, 17),
    TensorType(40, "NVFP4", 64, 36),
    TensorType(41, "Q1_0", 128, 18),
    TensorType(42, "Q2_0", 64, 18),
)

TENSOR_TYPES: dict[int, TensorType] = {row.id: row for row in _ROWS}

# Q4_2, Q4_3 (2023) and the repacked Q4_0_4_4 … IQ4_NL_8_8 (2024) were taken out of the format.
REMOVED_TYPE_IDS = frozenset({4, 5, 31, 32, 33, 36, 37, 38})


def runnable_type_names() -> str:
    """The runnable types as one phrase for an error message."""
    return ", ".join(row.name for row in _ROWS if row.runnable)
