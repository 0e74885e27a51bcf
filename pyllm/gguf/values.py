"""The metadata value types of GGUF: ids, names and how a scalar is laid out."""

from __future__ import annotations

import struct
from typing import Final

__all__ = ["ARRAY", "BOOL", "DTYPES", "SCALARS", "STRING", "VALUE_TYPE_NAMES"]

BOOL: Final = 7
STRING: Final = 8
ARRAY: Final = 9

VALUE_TYPE_NAMES: Final[dict[int, str]] = {
    0: "uint8",
    1: "int8",
    2: "uint16",
    3: "int16",
    4: "uint32",
    5: "int32",
    6: "float32",
    BOOL: "bool",
    STRING: "string",
    ARRAY: "array",
    10: "uint64",
    11: "int64",
    12: "float64",
}

# NumPy's little-endian name of each fixed-size type; a bool is one byte that must be 0 or 1.
DTYPES: Final[dict[int, str]] = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    BOOL: "<u1",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}

_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", BOOL: "B", 10: "Q", 11: "q"}

SCALARS: Final[dict[int, struct.Struct]] = {
    type_id: struct.Struct("<" + code) for type_id, code in {**_CODES, 12: "d"}.items()
}
