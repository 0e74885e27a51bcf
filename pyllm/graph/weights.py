"""Named handles to a model file's tensors; every access is recorded, so leftovers can be named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pyllm.errors import ModelFileError, printable

VECTOR_TYPES = {0: "F32", 1: "F16", 30: "BF16"}  # how a norm or a bias may be stored
TILE_ROWS = 16  # rows the core packs together
LISTED_NAMES = 8  # an error names this many tensors, then only counts


class TensorInfo(Protocol):
    """What a handle needs to know about a tensor of the file; `shape` is GGUF's, inputs first."""

    @property
    def type(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


class TensorFile(Protocol):
    """An open model file: its tensors, their bytes, and errors that name them (GGUFFile is one)."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]: ...
    def data(self, name: str) -> memoryview: ...
    def tensor_error(
        self, name: str, field: str, value: object, limit: str, message: str = ""
    ) -> ModelFileError: ...


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A tensor of `file`, or a constant vector computed while recording (then `values` holds it).

    `shape` is in row-major order, the reverse of GGUF's: a matrix is (outputs, inputs), a
    stack of experts' matrices (experts, outputs, inputs).
    """

    name: str
    type: int
    shape: tuple[int, ...]
    file: TensorFile | None = None
    values: npt.NDArray[np.float32] | None = None

    def require(self, *shape: int) -> Weight:
        """Return this handle, or raise ModelFileError when the stored shape is another one."""
        if self.shape != shape:
            message = "it does not match the file's own hyper-parameters"
            raise self.error("shape", _dims(self.shape), _dims(shape), message)
        return self

    def require_vector(self, length: int) -> Weight:
        """Return this handle, or raise ModelFileError unless it is a float vector of `length`."""
        self.require(length)
        if self.type not in VECTOR_TYPES:
            kinds = " or ".join(f"{number} ({name})" for number, name in VECTOR_TYPES.items())
            raise self.error("type", self.type, kinds, "norms and biases are never quantised")
        return self

    def vector(self) -> npt.NDArray[np.float32]:
        """Return the numbers of a norm, a bias or a table of factors as float32 [n], all finite."""
        if self.values is not None:
            return self.values
        self.require_vector(*self.shape)
        numbers = _floats(self.raw(), self.type)
        if not np.isfinite(numbers).all():
            at = int(np.argmin(np.isfinite(numbers)))
            message = "download the file again, or convert the model again"
            raise self.error(f"value {at}", float(numbers[at]), "finite numbers", message)
        return numbers

    @property
    def whole_tiles(self) -> bool:
        """Whether no tile would hold rows of two matrices of a stack."""
        return len(self.shape) < 3 or self.shape[-2] % TILE_ROWS == 0

    def matrix(self) -> tuple[int, int, memoryview]:
        """Return rows, columns and bytes of what the core packs.

        A stack of matrices (experts, rows, columns) becomes one matrix: the rows of each are padded
        with zero blocks to whole tiles, so that no tile holds rows of two.
        """
        *stack, rows, cols = self.shape
        n_matrices = stack[0] if stack else 1
        if self.whole_tiles:
            return n_matrices * rows, cols, self.raw()
        padding = -rows % TILE_ROWS
        blocks = np.frombuffer(self.raw(), np.uint8).reshape(n_matrices, rows, -1)
        padded = np.pad(blocks, ((0, 0), (0, padding), (0, 0)))
        return n_matrices * (rows + padding), cols, padded.reshape(-1).data

    def raw(self) -> memoryview:
        """Return the tensor's bytes as the file stores them."""
        assert self.file is not None, f"{self.name} is not in a file"
        return self.file.data(self.name)

    def error(self, field: str, value: object, limit: str, message: str) -> ModelFileError:
        """Build the error that names this tensor."""
        assert self.file is not None, f"{self.name} is not in a file"
        return self.file.tensor_error(self.name, field, value, limit, message)


def constant(name: str, values: npt.NDArray[np.float32]) -> Weight:
    """Make a vector that is computed from the configuration instead of read from the file."""
    return Weight(name, type=0, shape=values.shape, values=values)


class Weights:
    """`w["blk.0.attn_q.weight"]`, or `w.block(0)["attn_q.weight"]`, is a handle to that tensor."""

    def __init__(self, file: TensorFile, prefix: str = "") -> None:
        self._file = file
        self._prefix = prefix
        self._used: dict[str, Weight] = {}

    def block(self, index: int) -> Weights:
        """Return the view on layer `index`; it records into the same account."""
        view = Weights(self._file, f"blk.{index}.")
        view._used = self._used
        return view

    def __getitem__(self, name: str) -> Weight:
        full = self._prefix + name
        if full not in self._used:
            self._used[full] = self._handle(full)
        return self._used[full]

    def get(self, name: str) -> Weight | None:
        """Return the handle of an optional tensor, None when the file has none."""
        return self[name] if self._prefix + name in self._file.tensors else None

    def require_all_used(self) -> None:
        """Raise ModelFileError naming the tensors that no op reads: their model is another one."""
        leftovers = [name for name in self._file.tensors if name not in self._used]
        if leftovers:
            message = "running without them would answer wrongly"
            limit = "tensors this architecture uses"
            field = f"no op reads it ({len(leftovers)} such: {_listed(leftovers)})"
            raise self._file.tensor_error(leftovers[0], field, None, limit, message)

    def _handle(self, full: str) -> Weight:
        info = self._file.tensors.get(full)
        if info is None:
            message = "download the file again, or convert the model again"
            raise self._file.tensor_error(full, "missing", None, "a file that has it", message)
        return Weight(full, info.type, tuple(reversed(info.shape)), self._file)


def _floats(raw: memoryview, ggml_type: int) -> npt.NDArray[np.float32]:
    if VECTOR_TYPES[ggml_type] == "BF16":  # the upper half of a float32
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4").astype(np.float32)
    stored = "<f2" if VECTOR_TYPES[ggml_type] == "F16" else "<f4"
    return np.frombuffer(raw, stored).astype(np.float32)


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _listed(names: list[str]) -> str:
    more = len(names) - LISTED_NAMES
    shown = ", ".join(printable(name) for name in names[:LISTED_NAMES])
    return shown + (f" and {more} more" if more > 0 else "")
