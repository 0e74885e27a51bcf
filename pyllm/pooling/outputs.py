"""What embedding and scoring give back, in vLLM's shape."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "EmbeddingOutput",
    "EmbeddingRequestOutput",
    "ScoringOutput",
    "ScoringRequestOutput",
]


@dataclass(slots=True)
class EmbeddingOutput:
    """`embedding` holds float32 numbers; with the pooling type "none" one list for each token."""

    embedding: list[float] | list[list[float]]

    @property
    def hidden_size(self) -> int:
        first = self.embedding[0]
        return len(first if isinstance(first, list) else self.embedding)


@dataclass(slots=True)
class EmbeddingRequestOutput:
    """A text and its embedding."""

    request_id: str
    outputs: EmbeddingOutput
    prompt_token_ids: list[int]
    finished: bool = True
    num_cached_tokens: int = 0  # of the text, found in the prefix cache


@dataclass(slots=True)
class ScoringOutput:
    """`score`: how well two texts belong together; more is better.

    With a model that ranks it is a probability, otherwise the cosine of the angle between their
    embeddings, -1 to 1.
    """

    score: float


@dataclass(slots=True)
class ScoringRequestOutput:
    """A pair of texts and its score; the ids are of all that was read for it."""

    request_id: str
    outputs: ScoringOutput
    prompt_token_ids: list[int]
    finished: bool = True
    num_cached_tokens: int = 0
