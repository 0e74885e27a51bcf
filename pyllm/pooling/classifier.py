"""The head of a model that ranks: from the last token's state to how well a document answers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyllm.config import ModelConfig
from pyllm.graph.weights import Weights
from pyllm.kernels import dequantize
from pyllm.pooling.pooling import Floats

__all__ = ["Classifier", "read_classifier"]

_MAX_LABELS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """weight  float32 [labels, width]; bias  float32 [labels]"""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def score(self, state: Floats) -> float:
        """The probability of the first label, in [0, 1]: "yes" in Qwen3's rerankers.

        A single label is as probable as the logistic function says.
        """
        products = self.weight.astype(np.float64) * state.astype(np.float64)
        logits = products.sum(-1) + self.bias
        rest = logits[1:] if len(logits) > 1 else np.zeros(1)
        # exp of at most 709: beyond that a probability is 0 anyway.
        return 1 / (1 + sum(math.exp(min(709.0, other - logits[0])) for other in rest))


def read_classifier(weights: Weights, config: ModelConfig) -> Classifier:
    """Of a file whose pooling type is "rank". Raises ModelFileError when it has none."""
    matrix = weights["cls.output.weight"]
    if len(matrix.shape) == 1:  # one label
        matrix.require(config.n_embd)
    elif matrix.shape[0] > _MAX_LABELS:
        raise matrix.error("shape", matrix.shape[0], f"at most {_MAX_LABELS} labels", "")
    else:
        matrix.require(matrix.shape[0], config.n_embd)
    n_labels = 1 if len(matrix.shape) == 1 else matrix.shape[0]
    raw = np.frombuffer(matrix.raw(), np.uint8)
    bias = weights.get("cls.output.bias")
    if bias is not None:
        bias.require_vector(n_labels)
    return Classifier(
        dequantize(raw, matrix.type, (n_labels, config.n_embd)),
        np.zeros(n_labels, np.float32) if bias is None else bias.vector(),
    )
