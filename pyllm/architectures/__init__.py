"""One file per family of models; each says which `general.architecture` names it builds.

A file here is found by listing the package: it sets ARCHITECTURES and defines build().
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from pyllm.config import ModelConfig
from pyllm.graph.graph import Graph
from pyllm.graph.weights import Weights

Build = Callable[[Graph, ModelConfig, Weights], None]


def builders() -> dict[str, Build]:
    """Return the build function of every known `general.architecture`."""
    found: dict[str, Build] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for name in module.ARCHITECTURES:
            assert name not in found, f"two files build {name}"
            found[name] = module.build
    return found
