"""Rows of a program that ask for the likeliest token, for those who step it without an engine."""

from __future__ import annotations

from pyllm.engine.batch import Columns

__all__ = ["ask_greedily"]

_GREEDY = {
    "temperature": 0.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "seed": 0,
    "n_logprobs": -1,
    "target": -1,
    "deferred": 0,
    "sampler_order": 0,
}


def ask_greedily(columns: Columns, n_rows: int) -> None:
    """Fill the sampling columns of the first `n_rows` rows, whatever stood there."""
    for name, value in _GREEDY.items():
        columns[name][:n_rows] = value
