"""Typed, range-checked access to the metadata keys of one architecture ("llama.block_count", …)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from pyllm.errors import ModelFileError, UnsupportedModelError
from pyllm.gguf import GGUFFile, StringArray, Value

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

    def value(self, name: str) -> Value | None:
        """The raw value, None when the key is missing."""
        return self._file.metadata.get(self.key(name))

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
        value = self.value(name)
        if not isinstance(value, np.ndarray):
            return self.integer(name, low, high, default=default)
        if not np.issubdtype(value.dtype, np.integer):
            kind = self._file.metadata.type_name(self.key(name))
            raise self.error(name, kind, "an integer or an array of integers")
        if len(value) != n_layers:
            limit = f"one number or {n_layers}, one for each layer"
            raise self.error(name, f"an array of {len(value)}", limit)
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
        if isinstance(value, StringArray | np.ndarray):
            value = self._file.metadata.type_name(self.key(name))
        message = "pyllm does not run this kind of model yet"
        return self._file.error(self.key(name), value, limit, message, UnsupportedModelError)
