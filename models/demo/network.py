"""The network in torch: a Llama, its rotation interleaved as GGUF files of this family want it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # q, k, v: [batch, heads, tokens, head size]


@dataclass(frozen=True)
class Shape:
    """Every number that a matrix row has is a multiple of 256, so that every format applies."""

    n_vocab: int = 2048
    n_embd: int = 256
    n_layers: int = 12
    n_heads: int = 8
    n_kv_heads: int = 4
    n_ff: int = 768
    context: int = 2048
    rope_base: float = 10_000.0
    eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_heads

    def as_dict(self) -> dict[str, int | float]:
        return asdict(self)


class Block(nn.Module):
    """Attributes have GGUF's names."""

    def __init__(self, s: Shape) -> None:
        super().__init__()
        kv = s.n_kv_heads * s.head_dim
        self.shape = s
        self.attn_norm = nn.RMSNorm(s.n_embd, s.eps)
        self.attn_q = nn.Linear(s.n_embd, s.n_embd, bias=False)
        self.attn_k = nn.Linear(s.n_embd, kv, bias=False)
        self.attn_v = nn.Linear(s.n_embd, kv, bias=False)
        self.attn_output = nn.Linear(s.n_embd, s.n_embd, bias=False)
        self.ffn_norm = nn.RMSNorm(s.n_embd, s.eps)
        self.ffn_gate = nn.Linear(s.n_embd, s.n_ff, bias=False)
        self.ffn_up = nn.Linear(s.n_embd, s.n_ff, bias=False)
        self.ffn_down = nn.Linear(s.n_ff, s.n_embd, bias=False)

    def forward(self, x: Tensor, turn: Tensor, attend: Attend) -> Tensor:
        batch, length, width = x.shape
        h = self.attn_norm(x)
        q, k, v = (
            linear(h).view(batch, length, -1, self.shape.head_dim).transpose(1, 2)
            for linear in (self.attn_q, self.attn_k, self.attn_v)
        )
        mixed = attend(rotate(q, turn), rotate(k, turn), v)
        x = x + self.attn_output(mixed.transpose(1, 2).reshape(batch, length, width))
        h = self.ffn_norm(x)
        return torch.add(x, self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h)))


class Network(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.shape = s
        self.token_embd = nn.Embedding(s.n_vocab, s.n_embd)
        blocks = [Block(s) for _ in range(s.n_layers)]
        self.blk = nn.ModuleList(blocks)
        self.output_norm = nn.RMSNorm(s.n_embd, s.eps)
        pairs = torch.arange(0, s.head_dim, 2, dtype=torch.float64) / s.head_dim
        angles = torch.outer(torch.arange(s.context, dtype=torch.float64), s.rope_base**-pairs)
        self.turn: Tensor  # [2, context, head_dim / 2]
        turn = torch.stack((angles.cos(), angles.sin())).float()
        self.register_buffer("turn", turn, persistent=False)
        self.apply(_initialise)
        for block in blocks:  # so that the sum over layers starts small
            for linear in (block.attn_output, block.ffn_down):
                nn.init.normal_(linear.weight, std=0.02 * (2 * s.n_layers) ** -0.5)

    def forward(self, tokens: Tensor, attend: Attend) -> Tensor:
        """Logits [batch, tokens, n_vocab] of ids [batch, tokens]."""
        x = self.token_embd(tokens)
        turn = self.turn[:, : tokens.shape[1]]
        for block in self.blk:
            x = block(x, turn, attend)
        return F.linear(self.output_norm(x), self.token_embd.weight)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Pairs (2i, 2i+1) turned by position; float32 inside."""
    even, odd = x.float().reshape(*x.shape[:-1], -1, 2).unbind(-1)
    cos, sin = turn
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1)
    return turned.flatten(-2).type_as(x)


def attend_causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Every token sees itself and what precedes it."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
