"""GGUFFile: a model file, or all parts of a split one, opened for reading."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar, overload

from pyllm.errors import ModelFileError, printable
from pyllm.gguf.metadata import Metadata
from pyllm.gguf.part import Part, open_part
from pyllm.gguf.shards import check_parts, part_paths
from pyllm.gguf.tensors import TensorInfo

__all__ = ["GGUFFile"]

T = TypeVar("T")
D = TypeVar("D")


class _Required:
    """Marks `get` without a default: the key must be there."""


_REQUIRED: Final = _Required()


class GGUFFile:
    """An opened GGUF model. Use as a context manager, or call close().

    path       the path as given; the first part of a split model
    version    2 or 3
    alignment  of the first part's data section, bytes
    metadata   keys and values of the first part; after close() only the scalars
    tensors    name → TensorInfo over all parts, in file order
    warnings   oddities that do not prevent use, one line each
    """

    def __init__(self, parts: list[Part]) -> None:
        """Use GGUFFile.open."""
        first = parts[0]
        self.path = Path(first.path)
        self.version = first.version
        self.alignment = first.alignment
        self.metadata: Metadata = first.metadata
        self.tensors: dict[str, TensorInfo] = {}
        for part in parts:
            self.tensors.update(part.tensors)
        self.warnings = tuple(text for part in parts for text in part.warnings)
        self._parts = parts

    @classmethod
    def open(cls, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Self:
        """Opens `path`, and its sisters when it is the first part of a split model.

        Reads the header only: metadata and the tensor table are checked in full, no tensor data
        is touched. Raises ModelFileError and leaves nothing open.
        """
        parts = [open_part(os.fsdecode(path))]
        try:
            for index, sister in enumerate(part_paths(parts[0])[1:], start=1):
                parts.append(open_part(sister, index))
            check_parts(parts)
        except BaseException:
            for part in parts:
                part.file.close()
            raise
        return cls(parts)

    @property
    def part_paths(self) -> list[Path]:
        """The path of each part, indexed by TensorInfo.part."""
        return [Path(part.path) for part in self._parts]

    def data(self, name: str) -> memoryview:
        """The bytes of a tensor, read-only, without copying. KeyError for an unknown name.

        The view keeps its mapping alive, also after close(). Raises ModelFileError for a tensor
        without elements, because nothing can be computed from it.
        """
        info = self.tensors[name]
        if info.nbytes == 0:
            field = f"tensor {printable(name)}: dimensions"
            path = self._parts[info.part].path
            raise ModelFileError(path, None, field, info.shape, "sizes of at least 1")
        part = self._parts[info.part]
        return memoryview(part.data)[info.offset : info.offset + info.nbytes]

    def mapped(self, part: int) -> memoryview:
        """All bytes of a part, read-only; the view keeps the mapping alive."""
        return memoryview(self._parts[part].data)

    def descriptor(self, part: int) -> int:
        """The open descriptor of a part, indexed by TensorInfo.part; -1 after close()."""
        return self._parts[part].file.descriptor

    @overload
    def get(self, key: str, kind: type[T]) -> T: ...
    @overload
    def get(self, key: str, kind: type[T], default: D) -> T | D: ...
    def get(self, key: str, kind: type[T], default: object = _REQUIRED) -> object:
        """The value of `key`, which must be of Python type `kind`.

        kind is bool, int, float, str, StringArray or numpy.ndarray; a bool is not an int.
        A missing key gives `default`. Raises ModelFileError for a missing key without default
        and for a value of another type.
        """
        if key not in self.metadata:
            if isinstance(default, _Required):
                raise ModelFileError(self.path, None, key, None, "the key is missing", _REMAKE)
            return default
        found = self.metadata.python_type(key)
        if not issubclass(found, kind) or (found is bool and kind is not bool):
            limit = f"a value of type {_KIND_NAMES.get(kind.__name__, kind.__name__)}"
            raise self.error(key, self.metadata.type_name(key), limit, _REMAKE)
        return self.metadata[key]

    def error(
        self,
        key: str,
        value: object,
        limit: str,
        message: str = "",
        kind: type[ModelFileError] = ModelFileError,
    ) -> ModelFileError:
        """The error for a metadata key whose value cannot be used, placed at the key's offset."""
        return kind(self.path, self.metadata.offset(key), key, value, limit, message)

    def tensor_error(
        self,
        name: str,
        field: str,
        value: object,
        limit: str,
        message: str = "",
        kind: type[ModelFileError] = ModelFileError,
    ) -> ModelFileError:
        """The error for a tensor that cannot be used, placed at its data."""
        info = self.tensors.get(name)
        part = self._parts[info.part] if info else self._parts[0]
        offset = info.offset if info else None
        return kind(part.path, offset, f"tensor {printable(name)}: {field}", value, limit, message)

    def close(self) -> None:
        """Closes the file. Views given out by data() stay valid and hold their mapping."""
        self.metadata = self.metadata.without_arrays()
        for part in self._parts:
            part.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"GGUFFile({printable(str(self.path))}, {len(self.tensors)} tensors)"


_REMAKE: Final = "convert the model again"
_KIND_NAMES: Final = {"StringArray": "array of string", "ndarray": "array of numbers"}
