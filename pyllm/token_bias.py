"""What is added to the logits of certain tokens of a sequence."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

# Weakest finite "never": -1e30 survives division by the smallest temperature (1e-5) in float32.
_NEVER = -1e30

# tokens int32 [n], values float32 [n]
BiasArrays = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


class TokenBias:
    """The caller's `logit_bias`, and "never" for what would end a sequence before min_tokens.

    Both states are arrays from the start: 65 536 biases cost a step no more than a copy.
    """

    def __init__(self, logit_bias: Mapping[int, float], stop_ids: Collection[int]) -> None:
        self.usual = _arrays(logit_bias)
        self.before_min_tokens = _arrays({**logit_bias, **dict.fromkeys(stop_ids, _NEVER)})


def _arrays(bias: Mapping[int, float]) -> BiasArrays:
    return (
        np.fromiter(bias.keys(), np.int32, len(bias)),
        np.fromiter(bias.values(), np.float32, len(bias)),
    )


NO_BIAS = _arrays({})
