"""A limit on the tokens of a reasoning block (vLLM's `thinking_token_budget`).

A block begins behind "<think>", in the prompt or in the answer. Once it has as many tokens as the
budget, "</think>" is the only token allowed, and the answer goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyllm.errors import RequestError
from pyllm.sampling.token_mask import Words, words_of

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

THINK_START, THINK_END = "<think>", "</think>"


class ThinkingBudget:
    """The mask of one sequence. Raises RequestError when the model has no tokens for the ends."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], budget: int) -> None:
        self._start = _marker(tokenizer, THINK_START, budget)
        self._end = _marker(tokenizer, THINK_END, budget)
        self._budget = budget
        self._count: int | None = None  # tokens of the open block, None outside
        self._end_only = words_of([self._end], tokenizer.n_vocab)
        for token in prompt:
            self.add(token)

    def add(self, token: int) -> None:
        """Take the next token."""
        if token == self._start:
            self._count = 0
        elif token == self._end:
            self._count = None
        elif self._count is not None:
            self._count += 1

    def next_mask(self) -> Words | None:
        is_spent = self._count is not None and self._count >= self._budget
        return self._end_only if is_spent else None


def can_limit_thinking(tokenizer: Tokenizer) -> bool:
    """Whether the model has tokens for the ends of a reasoning block."""
    return None not in (_token(tokenizer, THINK_START), _token(tokenizer, THINK_END))


def _marker(tokenizer: Tokenizer, text: str, budget: int) -> int:
    token = _token(tokenizer, text)
    if token is None:
        raise RequestError("thinking_token_budget", budget, f"the model has no token {text}")
    return token


def _token(tokenizer: Tokenizer, text: str) -> int | None:
    """None: text like any other to this model, which was not made to reason so."""
    ids = tokenizer.encode(text, add_special=False, parse_special=True)
    return ids[0] if len(ids) == 1 else None
