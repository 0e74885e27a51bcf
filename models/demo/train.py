"""Trains the demo model. The same seed and number of steps see the same data in the same order.

    python -m models.demo.train --steps 9000 --out checkpoint.pt

Minutes on one large GPU; a CPU needs `--batch 8` and hours for a model of lower quality.
"""
# ruff: noqa: T201  a program that reports on the terminal

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from .muon import Muon
from .network import Network, Shape
from .shards import LEARN, ROWS_PER_SHARD, make_shard
from .tokens import BOS

SEED = 2026
MATRIX_RATE, VECTOR_RATE = 0.02, 3e-3  # Muon, AdamW
WARM_UP_STEPS, COOL_DOWN_SHARE = 100, 0.4
READ_WEIGHT = 0.1  # of the loss on tokens that others write
HERE = Path(__file__).parent
_block_mask = torch.compile(create_block_mask)


def main() -> None:
    options = _options()
    torch.manual_seed(SEED)
    torch.set_float32_matmul_precision("high")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network(Shape()).to(device)
    if options.resume:
        network.load_state_dict(torch.load(options.resume, map_location=device)["weights"])
    matrices = [p for p in network.blk.parameters() if p.ndim == 2]
    others = [p for p in network.parameters() if p.ndim == 1] + [network.token_embd.weight]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(
        others, VECTOR_RATE, betas=(0.9, 0.95), weight_decay=0.0, fused=device == "cuda"
    )
    compute_loss = torch.compile(_loss) if device == "cuda" else _loss
    start_s = time.perf_counter()
    for step, rows in enumerate(_batches(options)):
        rate = _rate(step, options.steps) * options.rate
        loss = _step(network, compute_loss, rows.to(device, non_blocking=True))
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for group in adam.param_groups:
            group["lr"] = VECTOR_RATE * rate
        adam.step()
        muon.step(MATRIX_RATE * rate)
        network.zero_grad(set_to_none=True)
        if step % 50 == 0:
            spent_s = time.perf_counter() - start_s
            print(f"step {step} loss {loss.item():.4f} rate {rate:.3f} {spent_s:.1f} s", flush=True)
        if step % 500 == 499 or step == options.steps - 1:
            _save(network, step + 1, options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=64, help="rows of 2048 tokens")
    parser.add_argument("--seed", type=int, default=SEED, help="of the corpus")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the learning rates")
    parser.add_argument("--resume", type=Path, help="start with the weights of this checkpoint")
    parser.add_argument("--tokenizer", type=Path, default=HERE / "tokenizer.model")
    parser.add_argument("--out", type=Path, default=Path("checkpoint.pt"))
    return parser.parse_args()


def _batches(options: argparse.Namespace) -> Iterator[Tensor]:
    """int32 [batch, ROW], from shards that other processes write; in order."""
    assert ROWS_PER_SHARD % options.batch == 0
    per_shard = ROWS_PER_SHARD // options.batch
    n_shards = -(-options.steps // per_shard)
    jobs = ((str(options.tokenizer), options.seed, shard) for shard in range(n_shards))
    done = 0
    with multiprocessing.get_context("spawn").Pool(max(1, (os.cpu_count() or 2) - 1)) as pool:
        for shard in pool.imap(make_shard, jobs):
            for rows in torch.split(torch.from_numpy(shard.astype(np.int32)), options.batch):
                if done < options.steps:
                    yield rows.pin_memory() if torch.cuda.is_available() else rows
                done += 1


def _rate(step: int, steps: int) -> float:
    """Warm up, hold, then fall to zero in a line over the last part."""
    left = (steps - step) / (steps * COOL_DOWN_SHARE)
    return min((step + 1) / WARM_UP_STEPS, 1.0, left)


def _step(network: Network, compute_loss: Callable[..., Tensor], rows: Tensor) -> Tensor:
    learn = (rows & int(LEARN)) != 0
    tokens = rows & (int(LEARN) - 1)
    weight = torch.where(learn, 1.0, READ_WEIGHT)
    weight = torch.where(tokens == BOS, 0.0, weight)[:, 1:]
    loss = compute_loss(network, tokens, _mask((tokens == BOS).cumsum(1)), weight)
    torch.autograd.backward(loss)
    return loss.detach()


def _mask(document: Tensor) -> BlockMask | Tensor:
    """Tokens see what precedes them in their own document; dense where there are no kernels."""
    rows, length = document.shape
    if document.device.type != "cuda":
        same = document[:, :, None] == document[:, None, :]
        return same.tril()[:, None]

    def visible(batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (document[batch, query] == document[batch, key])

    return _block_mask(visible, rows, None, length, length, device=document.device)


def _loss(network: Network, tokens: Tensor, mask: BlockMask | Tensor, weight: Tensor) -> Tensor:
    """Weighted cross entropy of each next token."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if isinstance(mask, Tensor):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        return flex_attention(q, k, v, block_mask=mask, enable_gqa=True)

    with torch.autocast(tokens.device.type, torch.bfloat16):
        logits = network(tokens, attend)
    losses = F.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), tokens[:, 1:].flatten().long(), reduction="none"
    )
    return (losses * weight.flatten()).sum() / weight.sum()


def _save(network: Network, step: int, path: Path) -> None:
    """Writes beside and renames, so that a reader never finds half a file."""
    beside = path.with_suffix(".part")
    torch.save(
        {"shape": network.shape.as_dict(), "step": step, "weights": network.state_dict()}, beside
    )
    beside.replace(path)


if __name__ == "__main__":
    main()
