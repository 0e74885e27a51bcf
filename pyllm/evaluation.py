"""How well a model predicts a text, and how far its predictions are from another one's.

The figures are llama-perplexity's: the text is cut into stretches, in each of which the second half
of the tokens is predicted from all before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyllm.errors import RequestError
from pyllm.sampling.greedy import ask_greedily

__all__ = [
    "Divergence",
    "compare",
    "log_softmax",
    "negative_log_likelihoods",
    "predictions",
    "stretches",
]

Floats = npt.NDArray[np.float64]


class EvaluatedModel(Protocol):
    """The part of a loaded model that an evaluation uses."""

    @property
    def program(self) -> Any: ...
    @property
    def max_model_len(self) -> int: ...
    @property
    def num_kv_blocks(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Divergence:
    """Of n predicted tokens; likelihoods and divergences in nats."""

    base_nll: Floats  # -log p(token) of the base
    nll: Floats  # of the model
    kld: Floats  # Kullback-Leibler divergence of the model from the base
    same_top: npt.NDArray[np.bool_]  # both find the same token likeliest


def stretches(tokens: Sequence[int], length: int, most: int, bos: int | None) -> list[list[int]]:
    """The first `most` runs of `length` tokens, each beginning with `bos` in place of its first.

    Raises RequestError when there is not even one.
    """
    if len(tokens) < length:
        limit = f"must have at least {length} tokens, the context of a prediction"
        raise RequestError("text", f"{len(tokens)} tokens", limit)
    count = min(most, len(tokens) // length)
    runs = [list(tokens[i * length : (i + 1) * length]) for i in range(count)]
    return [run if bos is None else [bos, *run[1:]] for run in runs]


def negative_log_likelihoods(model: EvaluatedModel, runs: Sequence[Sequence[int]]) -> Floats:
    """-log p of every token in the second half of each run, in nats."""
    return np.array(
        [
            -log_softmax(logits)[token]
            for run in runs
            for logits, token in zip(
                predictions(model, run, len(run) // 2), run[len(run) // 2 :], strict=True
            )
        ]
    )


def compare(
    base: EvaluatedModel, model: EvaluatedModel, runs: Sequence[Sequence[int]]
) -> Divergence:
    """What `model` predicts where `base` does, both over the second half of each run."""
    found: list[tuple[float, float, float, bool]] = []
    for run in runs:
        first = len(run) // 2
        rows = zip(
            predictions(base, run, first), predictions(model, run, first), run[first:], strict=True
        )
        for exact, other, token in rows:
            p, q = log_softmax(exact), log_softmax(other)
            # Never below 0 but for rounding, which would show as a negative divergence.
            kld = max(0.0, float(np.exp(p) @ (p - q)))
            found.append((-p[token], -q[token], kld, exact.argmax() == other.argmax()))
    base_nll, nll, klds, same = zip(*found, strict=True)
    return Divergence(np.array(base_nll), np.array(nll), np.array(klds), np.array(same, np.bool_))


def log_softmax(logits: npt.NDArray[Any]) -> Floats:
    """Log-probabilities over the last axis, in float64."""
    x = logits.astype(np.float64)
    shifted = x - x.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def predictions(
    model: EvaluatedModel, run: Sequence[int], first_token: int
) -> Iterator[npt.NDArray[np.float32]]:
    """The logits [vocabulary] from which each of run[first_token:] is predicted; 0 cannot be."""
    columns = model.program.columns
    at_once = min(len(columns["tokens"]), len(columns["logit_rows"]))
    # There are fewer blocks than the text has when a window slides over it: they take turns.
    places = np.arange(columns["block_tables"].shape[1])
    columns["block_tables"][0] = places % model.num_kv_blocks
    for first in range(0, len(run) - 1, at_once):
        n = min(at_once, len(run) - 1 - first)
        columns["tokens"][:n] = run[first : first + n]
        columns["positions"][:n] = np.arange(first, first + n)
        columns["seq_starts"][:2] = 0, n
        rows = np.arange(max(0, first_token - 1 - first), n)
        columns["logit_rows"][: len(rows)] = rows
        ask_greedily(columns, len(rows))
        model.program.step(n, 1, len(rows))
        for i in range(len(rows)):
            yield columns["logits"][i].copy()  # the next step overwrites them
