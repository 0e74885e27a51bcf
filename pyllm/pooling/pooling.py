"""How the states of a text's tokens become one vector, and what a caller may ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pyllm.checks import check_integer
from pyllm.errors import RequestError

if TYPE_CHECKING:
    from pyllm.pooling.classifier import Classifier

__all__ = ["POOLING_TYPES", "ModelPooling", "Pooler", "PoolingParams", "finished"]

POOLING_TYPES: Final = ("none", "mean", "cls", "last")

Floats = npt.NDArray[np.floating[Any]]


@dataclass(slots=True)
class PoolingParams:
    """How to embed a text; vLLM's names. Raises RequestError naming the field.

    dimensions    keep the first so many numbers (Matryoshka embeddings); None: all. A model that
                  was not trained for it is not refused: files do not say which ones were
    normalize     scale the vector to length 1, after it was cut
    pooling_type  "last": the state of the last token; "cls": of the first; "mean": the mean of all;
                  "none": no pooling, one vector for each token; None: what the model's file says
    """

    dimensions: int | None = None
    normalize: bool = True
    pooling_type: str | None = None

    def validate(self, width: int) -> None:
        """`width` of the model's states: no vector has more numbers."""
        if self.dimensions is not None:
            check_integer("dimensions", self.dimensions, 1, width)
        if not isinstance(self.normalize, bool):
            raise RequestError("normalize", self.normalize, "must be True or False")
        if self.pooling_type is not None and self.pooling_type not in POOLING_TYPES:
            limit = f"must be one of {', '.join(POOLING_TYPES)}"
            raise RequestError("pooling_type", self.pooling_type, limit)


@dataclass(frozen=True, slots=True)
class ModelPooling:
    """What a model's file says about vectors.

    type             one of POOLING_TYPES, or "rank": it gives no vectors but scores
    classifier       of a model that ranks
    rerank_template  with "{query}" and "{document}", of a model that ranks
    """

    type: str = "last"
    classifier: Classifier | None = None
    rerank_template: str | None = None


class Pooler:
    """Gathers the states of one text, in the order of its tokens, however they are chunked."""

    def __init__(self, kind: str, num_tokens: int) -> None:
        """`kind` of POOLING_TYPES."""
        self.kind = kind
        self._num_tokens = num_tokens
        self._num_added = 0
        self._rows: list[npt.NDArray[np.float32]] = []
        self._sum: npt.NDArray[np.float64] | None = None

    @property
    def wants_all(self) -> bool:
        """Tokens from the first on; otherwise the last alone, so that others may be cached."""
        return self.kind != "last"

    @property
    def is_complete(self) -> bool:
        if self.kind in ("last", "cls"):
            return self._num_added > 0
        return self._num_added == self._num_tokens

    def add(self, states: npt.NDArray[np.float32]) -> None:
        """Of the next tokens, [n, width]; n is 1 for "last"."""
        if self.kind == "mean":
            self._add_up(states)
        else:
            self._rows.append(states[:1].copy() if self.kind == "cls" else states.copy())
        self._num_added += len(states)

    def _add_up(self, states: npt.NDArray[np.float32]) -> None:
        """Token by token: the sum must not depend on where chunks end."""
        if self._sum is None:
            self._sum = np.zeros(states.shape[1], np.float64)
        for state in states:
            self._sum += state

    def result(self) -> Floats:
        """[width], with "none" [tokens, width]; complete poolers only."""
        if self._sum is not None:
            return self._sum / self._num_tokens
        return np.concatenate(self._rows) if self.kind == "none" else self._rows[0][0]


def finished(pooled: Floats, params: PoolingParams) -> npt.NDArray[np.float32]:
    """Cut, then scaled to length 1: [dimensions] or [tokens, dimensions]. Zeros remain zeros."""
    vectors = pooled[..., : params.dimensions].astype(np.float64)
    if params.normalize:
        # Not BLAS, whose order of summation may depend on where an array lies in memory.
        lengths = np.sqrt((vectors * vectors).sum(-1, keepdims=True))
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return vectors.astype(np.float32)
