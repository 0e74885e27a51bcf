"""Typed, range-checked access to the metadata keys of one architecture ("llama.block_count", …)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from pyllm.errors import ModelFileError, UnsupportedModelError
from pyllm.gguf import GGUFFile
from pyllm.gguf.metadata import Scalar

__all__ = ["Hyperparameters"]

_MAX_ARCHITECTURE_CHARS: Final = 64
_ADVICE: Final = "the file contradicts itself; convert the model again"


class Hyperparameters:
    """Reads "<architecture>.<name>" keys of a file; every method raises ModelFileError."""

    def __init__(self, file: GGUFFile) -> None:
        """Reads general.architecture."""
        self._file = file
        self.architecture = file.get("general.architecture", str)
        if not 1 <= len(self.architecture) <= _MAX_ARCHITECTURE_CHARS:
            limit = f"a name of 1 to {_MAX_ARCHITECTURE_CHARS} characters"
            raise file.error("general.architecture", self.architecture, limit)

    def key(self, name: str) -> str:
        """The full key of a name."""
        return f"{self.architecture}.{name}"

    def scalar(self, name: str) -> Scalar | None:
        """The value whatever its type, None when the key is missing; an array is unsupported."""
        key = self.key(name)
        if key not in self._file.metadata:
            return None
        value = None if self._file.metadata.length(key) is not None else self._file.metadata[key]
        if not isinstance(value, bool | int | float | str):
            raise self.unsupported(name, self._file.metadata.type_name(key), "one value")
        return value

    def integer(self, name: str, low: int, high: int, *, default: int | None = None) -> int:
        """An integer of any width in [low, high]; a missing key gives `default` unchecked."""
        if default is not None and self.key(name) not in self._file.metadata:
            return default
        value = self._file.get(self.key(name), int)
        if not low <= value <= high:
            raise self.error(name, value, f"{low} to {high}")
        return value

    def number(self, name: str, low: float, high: float, *, default: float | None = None) -> float:
        """A float in [low, high]; NaN and infinities are outside every range."""
        if default is not None and self.key(name) not in self._file.metadata:
            return default
        value = self._file.get(self.key(name), float)
        if not math.isfinite(value) or not low <= value <= high:
            raise self.error(name, value, f"{low:g} to {high:g}")
        return value

    def text(self, name: str, default: str) -> str:
        """A string; a missing key gives `default`."""
        return self._file.get(self.key(name), str, default)

    def same_in_all_layers(
        self, name: str, n_layers: int, low: int, high: int, *, default: int | None = None
    ) -> int:
        """An integer, or an array with one equal integer for each layer."""
        key, metadata = self.key(name), self._file.metadata
        if key not in metadata or metadata.python_type(key) is not np.ndarray:
            return self.integer(name, low, high, default=default)
        # Before the array is read: a hostile one may be half a gigabyte long.
        if metadata.length(key) != n_layers:
            limit = f"one number or {n_layers}, one for each layer"
            raise self.error(name, f"an array of {metadata.length(key)}", limit)
        value = self._file.get(key, np.ndarray)
        if not np.issubdtype(value.dtype, np.integer):
            raise self.error(name, metadata.type_name(key), "an integer or an array of integers")
        first = int(value[0])
        if not (value == value[0]).all():
            raise self.unsupported(name, value[:8].tolist(), "the same number for all layers")
        if not low <= first <= high:
            raise self.error(name, first, f"{low} to {high}")
        return first

    def error(self, name: str, value: object, limit: str) -> ModelFileError:
        """The error for a value that cannot be right."""
        return self._file.error(self.key(name), value, limit, _ADVICE)

    def unsupported(self, name: str, value: object, limit: str) -> ModelFileError:
        """The error for a value that is right but asks for something pyllm does not do."""
        message = "pyllm does not run this kind of model yet"
        return self._file.error(self.key(name), value, limit, message, UnsupportedModelError)
