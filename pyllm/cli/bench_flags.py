"""The flags that both benches of many requests take."""

from __future__ import annotations

from pyllm.cli.flags import ENGINE, IGNORED_HARDWARE, KV_CACHE, SPECULATION, Flag
from pyllm.cli.sampling_flags import SAMPLING
from pyllm.cli.values import choice, integer, text

__all__ = ["MANY_REQUESTS"]

_SAMPLED = tuple(
    flag for flag in SAMPLING if flag.keyword in ("temperature", "top_k", "top_p", "min_p")
)
# All but the lengths of random requests.
MANY_REQUESTS = (
    Flag(("--num-prompts",), "requests", integer(1, 10**7), "N", 64),
    Flag(
        ("--dataset-path", "--dataset"),
        'take prompts from a file of JSON lines: {"prompt": "…", "output_tokens": N}',
        text,
        "FILE",
        None,
    ),
    Flag(("--seed",), "of random prompts, arrivals and sampling", integer(0, 2**63), "N", 0),
    Flag(("-o", "--output"), "md or json", choice("md", "json"), "FORMAT", "md"),
    *_SAMPLED,
    *ENGINE,
    Flag(("--max-num-seqs",), "requests computed at a time", integer(1, 4096), "N", 16, "engine"),
    *SPECULATION,
    *KV_CACHE,
    *IGNORED_HARDWARE,
)
