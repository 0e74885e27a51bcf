"""Writes GGUF files through the gguf package, one tensor in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import gguf
import numpy as np
import numpy.typing as npt

from pyllm.gguf.metadata import Metadata, Value
from pyllm.gguf.strings import StringArray
from pyllm.gguf.types import TENSOR_TYPES
from pyllm.gguf.values import VALUE_TYPE_NAMES

__all__ = ["NewTensor", "write_gguf"]

_TYPE_IDS = {name: type_id for type_id, name in VALUE_TYPE_NAMES.items()}
_WRITTEN_BY_THE_PACKAGE = ("general.architecture", "general.alignment")


class NewTensor(NamedTuple):
    """A tensor to write: `shape` in GGUF order (ne0 first); `data` is called at its turn."""

    name: str
    type: int
    shape: tuple[int, ...]
    data: Callable[[], bytes | bytearray | memoryview | npt.NDArray[np.uint8]]


def write_gguf(
    path: str | os.PathLike[str],
    architecture: str,
    metadata: Metadata | Mapping[str, Value | list[str]],
    tensors: Iterable[NewTensor],
) -> None:
    """Writes a version 3 file with an alignment of 32 bytes.

    metadata  of a GGUFFile (types are kept; "split." keys are left out), or a plain mapping: bool,
              int (uint32; int32, uint64 or int64 where that does not fit), float (float32), str,
              list of str, StringArray, NumPy array

    Raises ValueError for a value or data that does not fit its declaration.
    """
    tensors = list(tensors)
    writer = gguf.GGUFWriter(path, architecture)
    try:
        for key in metadata:
            if key not in _WRITTEN_BY_THE_PACKAGE and not key.startswith("split."):
                _add(writer, key, metadata)
        for tensor in tensors:
            nbytes = _nbytes(tensor)
            kind = gguf.GGMLQuantizationType(tensor.type)
            shape = tuple(reversed(tensor.shape))
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), nbytes, kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            data = np.frombuffer(tensor.data(), np.uint8)
            if data.nbytes != _nbytes(tensor):
                raise ValueError(f"{tensor.name}: {data.nbytes} bytes, needs {_nbytes(tensor)}")
            writer.write_tensor_data(data)
    finally:
        writer.close()


def _nbytes(tensor: NewTensor) -> int:
    kind = TENSOR_TYPES[tensor.type]
    row = tensor.shape[0] if tensor.shape else 1
    if row % kind.block_elements:
        raise ValueError(f"{tensor.name}: rows of {row} are not whole blocks of {kind.name}")
    total = kind.block_bytes
    for size in tensor.shape:
        total *= size
    return total // kind.block_elements


def _add(
    writer: gguf.GGUFWriter, key: str, metadata: Metadata | Mapping[str, Value | list[str]]
) -> None:
    value = metadata[key]
    name = metadata.type_name(key) if isinstance(metadata, Metadata) else _natural_type(value)
    if name.startswith("array of "):
        element_type = gguf.GGUFValueType(_TYPE_IDS[name.removeprefix("array of ")])
        elements = _elements(value)
        if not elements:
            raise ValueError(f"{key}: the gguf package cannot write an empty array")
        writer.add_key_value(key, elements, gguf.GGUFValueType.ARRAY, element_type)
    else:
        writer.add_key_value(key, value, gguf.GGUFValueType(_TYPE_IDS[name]))


def _elements(value: object) -> list[object]:
    if isinstance(value, StringArray):
        return list(value.iter_raw())
    if isinstance(value, np.ndarray):
        return list(value.tolist())
    if isinstance(value, list):
        return value
    raise ValueError(f"not an array: {type(value).__name__}")


def _natural_type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        for name, low, high in (
            ("uint32", 0, 1 << 32), ("int32", -(1 << 31), 0), ("uint64", 0, 1 << 64),
        ):  # fmt: skip
            if low <= value < high:
                return name
        return "int64"
    if isinstance(value, float):
        return "float32"
    if isinstance(value, str):
        return "string"
    if isinstance(value, np.ndarray):
        return f"array of {'bool' if value.dtype == np.bool_ else value.dtype.name}"
    if isinstance(value, list | StringArray):
        return "array of string"
    raise ValueError(f"GGUF has no type for {type(value).__name__}")
