"""Greedy answers by torch in float32: every step computes the whole text anew, the plain way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .answer import Answer
from .corpus.case import Case, Check, assistant
from .corpus.chat_format import prompt
from .network import Network, Shape, attend_causal
from .tokens import BOS, Tokens

_BATCH = 64
_TOKENIZER = Path(__file__).with_name("tokenizer.model")


class TorchAnswerer:
    def __init__(self, checkpoint: Path, max_tokens: int) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        stored = torch.load(checkpoint, map_location=self._device)
        self._network = Network(Shape(**stored["shape"])).to(self._device).eval()
        self._network.load_state_dict(stored["weights"])
        self._tokens = Tokens(_TOKENIZER)
        self._max_tokens = max_tokens

    def answers(self, conversations: Sequence[tuple[list[Any], list[Any]]]) -> list[Answer]:
        prompts = [[BOS, *self._tokens.encode(_prompt(*c))] for c in conversations]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        found: dict[int, Answer] = {}
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            found.update(zip(batch, self._batch([prompts[i] for i in batch]), strict=True))
        return [found[i] for i in range(len(prompts))]

    @torch.no_grad()
    def _batch(self, prompts: list[list[int]]) -> list[Answer]:
        texts = [list(ids) for ids in prompts]
        running = list(range(len(texts)))
        for _ in range(self._max_tokens):
            longest = max(len(texts[i]) for i in running)
            rows = torch.full((len(running), longest), BOS, device=self._device)
            for row, i in enumerate(running):
                rows[row, : len(texts[i])] = torch.tensor(texts[i], device=self._device)
            ends = torch.tensor([len(texts[i]) - 1 for i in running], device=self._device)
            logits = self._network(rows, attend_causal)
            chosen = logits[torch.arange(len(running), device=self._device), ends].argmax(-1)
            for i, token in zip(running, chosen.tolist(), strict=True):
                texts[i].append(token)
            running = [i for i in running if texts[i][-1] != self._tokens.end]
            if not running:
                break
        return [self._answer(ids[len(given) :]) for ids, given in zip(texts, prompts, strict=True)]

    def _answer(self, ids: list[int]) -> Answer:
        stopped = ids[-1] == self._tokens.end
        return Answer(self._tokens.decode(ids[:-1] if stopped else ids), stopped)


def _prompt(messages: list[Any], tools: list[Any]) -> str:
    return prompt(Case("", [*messages, assistant("")], Check("words", ()), tools))
