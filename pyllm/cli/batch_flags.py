"""The flags of `pyllm run-batch`."""

from __future__ import annotations

from pyllm.cli.flags import ENGINE, IGNORED_HARDWARE, KV_CACHE, SPECULATION, Flag
from pyllm.cli.values import integer, shard, text

__all__ = ["BATCH"]

BATCH = (
    Flag(
        ("-i", "--input-file"),
        "requests as OpenAI's batches have them; - reads standard input",
        text,
        "FILE",
        None,
    ),
    Flag(("-o", "--output-file"), "answers, in the same order; - prints them", text, "FILE", None),
    Flag(("--shard",), "only part i of N, by custom_id: 1/4 to 4/4", shard, "i/N", None),
    Flag(
        ("-a", "--alias", "--served-model-name"),
        "a further name that requests may call the model; may be given several times",
        text,
        "NAME",
        None,
        repeat=True,
    ),
    *ENGINE,
    Flag(("--max-num-seqs",), "answers computed at a time", integer(1, 4096), "N", 16, "engine"),
    *SPECULATION,
    *KV_CACHE,
    *IGNORED_HARDWARE,
)
