"""The flags of `pyllm embed`."""

from __future__ import annotations

from pyllm.cli.flags import ENGINE, IGNORED_HARDWARE, KV_CACHE, Flag
from pyllm.cli.values import choice, integer

__all__ = ["EMBEDDING"]

EMBEDDING = (
    Flag(
        ("--dimensions",),
        "keep the first N numbers (Matryoshka embeddings)",
        integer(1, 2**20),
        "N",
        None,
    ),
    Flag(
        ("--pooling",),
        "last, mean or cls; none: each token's vector (default: what the model says, or last)",
        choice("last", "mean", "cls", "none"),
        "TYPE",
        None,
    ),
    Flag(
        ("--no-normalize",),
        "do not scale vectors to length 1",
        default=True,
        argument="normalize",
    ),
    Flag(("--json",), "print JSON", argument="as_json"),
    *ENGINE,
    *KV_CACHE,
    *IGNORED_HARDWARE,
)
