"""All rows of the corpus in one list."""

from __future__ import annotations

from tests.corpus import container, hyperparameters, metadata, offsets, places, tensors
from tests.corpus.case import Case

__all__ = ["all_cases"]


def all_cases() -> list[Case]:
    modules = (container, places, metadata, tensors, offsets, hyperparameters)
    return [case for module in modules for case in module.cases()]
