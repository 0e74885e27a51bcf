"""Muon: momentum whose matrix is made orthogonal before each step (Jordan et al., 2024).

Five Newton-Schulz iterations in bfloat16; matrices of one shape are done together.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315  # quintic whose iteration drives singular values to 0.7 … 1.2


class Muon:
    """For matrices only; embeddings and norms belong to AdamW."""

    def __init__(
        self, parameters: Iterable[Tensor], *, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        self._momentum, self._weight_decay = momentum, weight_decay
        by_shape: dict[torch.Size, list[Tensor]] = {}
        for parameter in parameters:
            by_shape.setdefault(parameter.shape, []).append(parameter)
        self._groups = list(by_shape.values())
        self._velocity = [torch.zeros_like(torch.stack(group)) for group in self._groups]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for group, velocity in zip(self._groups, self._velocity, strict=True):
            gradient = torch.stack([p.grad for p in group if p.grad is not None])
            velocity.lerp_(gradient, 1 - self._momentum)
            update = orthogonal(gradient.lerp(velocity, self._momentum))
            rows, cols = group[0].shape
            update *= max(1.0, rows / cols) ** 0.5
            torch._foreach_mul_(group, 1 - rate * self._weight_decay)
            torch._foreach_add_(group, list(update.to(group[0].dtype).unbind()), alpha=-rate)


def orthogonal(x: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrices of [count, rows, cols], roughly."""
    tall = x.shape[1] > x.shape[2]
    x = x.bfloat16()
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = _A * x + (_B * a + _C * a @ a) @ x
    return x.mT if tall else x
