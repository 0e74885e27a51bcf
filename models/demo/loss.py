"""Quantization loss: perplexity of held-out answers and divergence from a reference file.

    python -m models.demo.loss F32.gguf models/pyllm-demo-Q8_0.gguf Q4_K_M.gguf

The first file is the reference. Perplexity is over the tokens the assistant is to write; KLD is the
mean Kullback-Leibler divergence, in nats, of a file's predictions from the reference's there, and
"same top" how often both find the same token likeliest.
"""
# ruff: noqa: T201  a program that reports on the terminal

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm.evaluation import log_softmax, predictions
from pyllm.loader import load_model

from .corpus.case import Case
from .corpus.chat_format import segments
from .evaluate import held_out_cases

LONGEST = 512  # tokens of a case; longer ones are left out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--per-family", type=int, default=20)
    options = parser.parse_args()
    cases = held_out_cases(options.per_family)
    reference: list[npt.NDArray[np.float64]] = []
    print("| file | perplexity | KLD (nats) | same top |\n|---|---|---|---|")
    for path in options.models:
        predictions = list(answer_predictions(path, cases))
        found = [log_probabilities for log_probabilities, _ in predictions]
        reference = reference or found
        print(f"| {path.stem} | {_row(predictions, reference)} |", flush=True)


def answer_predictions(
    path: Path, cases: list[Case]
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """Per case: log-probabilities [n, vocabulary] before each answer token, and those tokens."""
    model = load_model(
        path, max_model_len=LONGEST, max_num_seqs=LONGEST, max_num_batched_tokens=LONGEST
    )
    for case in cases:
        tokens, answer = [model.tokenizer.bos_id], [False]
        for text, is_answer in segments(case):
            ids = model.tokenizer.encode(text, add_special=False, parse_special=True)
            tokens += ids
            answer += [is_answer] * len(ids)
        if len(tokens) <= LONGEST:
            at = np.flatnonzero(answer)
            logits = np.stack(list(predictions(model, tokens, 1)))
            yield log_softmax(logits[at - 1]), np.asarray(tokens)[at]
    model.close()


def _row(predictions: list[Any], reference: list[Any]) -> str:
    found = np.concatenate([log_probabilities for log_probabilities, _ in predictions])
    wanted = np.concatenate([tokens for _, tokens in predictions])
    exact = np.concatenate(reference)
    perplexity = np.exp(-found[np.arange(len(wanted)), wanted].mean())
    divergence = (np.exp(exact) * (exact - found)).sum(-1).mean()
    same = (exact.argmax(-1) == found.argmax(-1)).mean()
    return f"{perplexity:.4f} | {divergence:.2e} | {100 * same:.2f} %"


if __name__ == "__main__":
    main()
