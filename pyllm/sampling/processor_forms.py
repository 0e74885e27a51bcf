"""The two forms of a logits processor, brought to one.

vLLM calls (prompt ids, output ids, logits); older code, and what was written for it, takes
(output ids, logits).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["AnyProcessor", "Processor", "number_of_arguments", "with_three_arguments"]

_Logits: TypeAlias = npt.NDArray[np.float32]  # [n_vocab]
_Ids: TypeAlias = Sequence[int]

# → the logits to sample from; None: changed in place.
Processor: TypeAlias = Callable[[_Ids, _Ids, _Logits], _Logits | None]
AnyProcessor: TypeAlias = Processor | Callable[[_Ids, _Logits], _Logits | None]


def number_of_arguments(processor: Callable[..., Any]) -> int | None:
    """3 or 2, as many as `processor` takes; 3 when it takes either, None when it takes neither."""
    try:
        signature = inspect.signature(processor)
    except (TypeError, ValueError):  # some functions written in C tell nothing
        return 3
    for count in (3, 2):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return count
    return None


def with_three_arguments(processor: Callable[..., Any]) -> Processor:
    """The processor itself, or one that leaves out the prompt for it."""
    if number_of_arguments(processor) == 3:
        return processor
    return lambda _prompt, output, logits: processor(output, logits)
