"""What is added to the logits of certain tokens of a sequence."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pyllm.sampling.bad_words import BadWords

# Weakest finite "never": -1e30 survives division by the smallest temperature (1e-5) in float32.
_NEVER = -1e30

# tokens int32 [n], values float32 [n]
BiasArrays = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


class TokenBias:
    """The caller's `logit_bias`, what bad words forbid, and "never" for what would end a sequence
    before min_tokens.

    Both states are arrays from the start: 65 536 biases cost a step no more than a copy.
    """

    def __init__(
        self,
        logit_bias: Mapping[int, float],
        stop_ids: Collection[int],
        bad_words: BadWords | None = None,
    ) -> None:
        self._bad_words = bad_words
        forbidden = _forbidden(bad_words.single_tokens if bad_words else ())
        before_min_tokens = dict(logit_bias)
        for token in stop_ids:
            before_min_tokens[token] = min(logit_bias.get(token, 0.0), _NEVER)
        self.usual = bias_arrays({**logit_bias, **forbidden})
        self.before_min_tokens = bias_arrays({**before_min_tokens, **forbidden})

    @property
    def looks_back(self) -> bool:
        """Whether more than the number of tokens decides what is forbidden."""
        return self._bad_words is not None and self._bad_words.has_long_ones

    def after(self, tokens: Sequence[int], start: int, *, must_not_stop: bool) -> BiasArrays:
        """The bias of the token that follows `tokens`, of which tokens[start:] is output."""
        bias = self.before_min_tokens if must_not_stop else self.usual
        if self._bad_words is None:
            return bias
        completions = self._bad_words.completions(tokens, start)
        if not completions:
            return bias
        ids, values = bias_arrays(_forbidden(completions))
        return np.concatenate([bias[0], ids]), np.concatenate([bias[1], values])


def bias_arrays(bias: Mapping[int, float]) -> BiasArrays:
    return (
        np.fromiter(bias.keys(), np.int32, len(bias)),
        np.fromiter(bias.values(), np.float32, len(bias)),
    )


def _forbidden(tokens: Iterable[int]) -> dict[int, float]:
    return dict.fromkeys(tokens, -math.inf)


NO_BIAS = bias_arrays({})
