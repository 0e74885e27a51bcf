"""A model file in memory: what `Weights` needs, made of NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm import kernels
from pyllm.errors import ModelFileError
from pyllm.graph.weights import Weight

F32, F16 = 0, 1


@dataclass(frozen=True)
class ToyTensor:
    type: int
    shape: tuple[int, ...]  # GGUF order: inputs first


@dataclass
class ToyFile:
    """Arrays in row-major order, as `Weight.shape` has them."""

    arrays: dict[str, npt.NDArray[Any]]
    types: dict[str, int] = field(default_factory=dict)  # ggml type when it is not the array's own
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of arrays that hold blocks
    path: str = "toy.gguf"

    @cached_property
    def tensors(self) -> Mapping[str, ToyTensor]:
        return {
            name: ToyTensor(self._type(name), tuple(reversed(self.shapes.get(name, a.shape))))
            for name, a in self.arrays.items()
        }

    def data(self, name: str) -> memoryview:
        return memoryview(np.ascontiguousarray(self.arrays[name]).reshape(-1).view(np.uint8))

    def tensor_error(
        self, name: str, field: str, value: object, limit: str, message: str = ""
    ) -> ModelFileError:
        return ModelFileError(self.path, 64, f"tensor '{name}': {field}", value, limit, message)

    def quantised(self, ggml_type: int) -> ToyFile:
        """Return a copy whose matrices are of another type."""
        matrices = {name: a for name, a in self.arrays.items() if a.ndim > 1}
        rows = {name: a.reshape(-1, a.shape[-1]) for name, a in matrices.items()}
        return ToyFile(
            self.arrays | {name: kernels.quantize(a, ggml_type) for name, a in rows.items()},
            self.types | dict.fromkeys(matrices, ggml_type),
            {name: a.shape for name, a in matrices.items()},
        )

    def values(self, weight: Weight) -> npt.NDArray[np.float32]:
        """What the reference interpreter reads for a handle."""
        return self.arrays[weight.name].astype(np.float32)

    def _type(self, name: str) -> int:
        own = {np.dtype(np.float32): F32, np.dtype(np.float16): F16}
        return self.types[name] if name in self.types else own[self.arrays[name].dtype]
