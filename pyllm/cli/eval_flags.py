"""The flags of the commands below `pyllm eval`."""

from __future__ import annotations

from dataclasses import replace

from pyllm.cli.flags import JSON, KV_CACHE, Flag
from pyllm.cli.values import integer, text

__all__ = ["EVAL"]

EVAL = (
    Flag(("-f", "--file"), "the text; without it, pyllm's own sources", text, "FILE", None),
    Flag(
        ("-c", "--context", "--ctx-size"),
        "tokens of a chunk; the second half of each is predicted",
        integer(2, 2**20),
        "N",
        512,
    ),
    Flag(("--chunks",), "chunks of the text to read, at most", integer(1, 2**31 - 1), "N", 8),
    Flag(
        ("-t", "--num-threads", "--threads"),
        "threads (default: physical cores within the CPU quota)",
        integer(1, 1024),
        "N",
        None,
    ),
    *(replace(flag, group="") for flag in KV_CACHE),
    JSON,
)
