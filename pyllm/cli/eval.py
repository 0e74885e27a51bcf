"""`pyllm eval`: perplexity of a text, and what a KV type or a quantization costs in divergence."""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path

import numpy as np

from pyllm.cli.arguments import CommandLineError
from pyllm.errors import RequestError
from pyllm.evaluation import Divergence, compare, negative_log_likelihoods, stretches
from pyllm.kv.types import KVTypes, choose_kv_types
from pyllm.loader import Model, load_model

__all__ = ["kld", "perplexity"]

Facts = dict[str, float | int | str]

ROWS = 128  # of logits at a time: 64 MB for a vocabulary of 128k


def perplexity(
    model: Path,
    *,
    file: str | None,
    context: int,
    chunks: int,
    num_threads: int | None,
    kv_cache_dtype: str,
    cache_type_k: str | None,
    cache_type_v: str | None,
    as_json: bool,
) -> None:
    """Prints exp of the mean negative log-likelihood per token, with its standard error."""
    types = choose_kv_types(kv_cache_dtype, cache_type_k, cache_type_v)
    with closing(_load(model, types, context, num_threads)) as loaded:
        nll = negative_log_likelihoods(loaded, _runs(loaded, file, context, chunks))
    value, error = _perplexity(nll)
    facts: Facts = {
        "perplexity": value,
        "perplexity_stderr": error,
        "tokens": len(nll),
        "kv": str(types),
    }
    _print(facts, as_json)


def kld(
    model: Path,
    *,
    base: str | None,
    file: str | None,
    context: int,
    chunks: int,
    num_threads: int | None,
    kv_cache_dtype: str,
    cache_type_k: str | None,
    cache_type_v: str | None,
    as_json: bool,
) -> None:
    """Prints how far the predictions are from those of `base`, or of the same model with f16 keys
    and values; both are in memory at once.
    """
    types = choose_kv_types(kv_cache_dtype, cache_type_k, cache_type_v)
    if base is None and types == KVTypes():
        raise CommandLineError("nothing to compare: name a --kv other than f16, or a --base model")
    with (
        closing(_load(Path(base or model), KVTypes(), context, num_threads)) as exact,
        closing(_load(model, types, context, num_threads)) as other,
    ):
        if base is not None and exact.config.n_vocab != other.config.n_vocab:
            sizes = f"{exact.config.n_vocab} and {other.config.n_vocab} tokens"
            raise RequestError("base", base, f"must have the model's vocabulary; they have {sizes}")
        found = compare(exact, other, _runs(exact, file, context, chunks))
    _print(_divergence(found) | {"kv": str(types)}, as_json)


def _load(path: Path, types: KVTypes, context: int, num_threads: int | None) -> Model:
    return load_model(
        path,
        num_threads=num_threads,
        max_model_len=context,
        max_num_seqs=min(ROWS, context),
        max_num_batched_tokens=min(ROWS, context),
        kv_types=types,
    )


def _runs(model: Model, file: str | None, context: int, chunks: int) -> list[list[int]]:
    text = own_text() if file is None else Path(file).read_text("utf-8", "replace")
    tokenizer = model.tokenizer
    bos = tokenizer.bos_id if tokenizer.add_bos else None
    return stretches(tokenizer.encode(text, add_special=False), context, chunks, bos)


def own_text() -> str:
    """The sources of this package in the order of their names: a text every installation has."""
    folder = Path(__file__).parents[1]
    return "\n".join(path.read_text("utf-8") for path in sorted(folder.rglob("*.py")))


def _perplexity(nll: np.ndarray) -> tuple[float, float]:
    value = math.exp(nll.mean())
    return value, value * _standard_error(nll)


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _divergence(found: Divergence) -> Facts:
    return {
        "perplexity": _perplexity(found.nll)[0],
        "base_perplexity": _perplexity(found.base_nll)[0],
        "kld_mean": float(found.kld.mean()),
        "kld_stderr": _standard_error(found.kld),
        "kld_median": float(np.median(found.kld)),
        "kld_p99": float(np.quantile(found.kld, 0.99)),
        "kld_max": float(found.kld.max()),
        "same_top": float(found.same_top.mean()),
        "tokens": len(found.kld),
    }


_SHOWN = {
    "perplexity": "perplexity          {:.4f}",
    "perplexity_stderr": "  standard error    {:.4f}",
    "base_perplexity": "  of the base       {:.4f}",
    "kld_mean": "KLD, mean           {:.6f} nats",
    "kld_stderr": "  standard error    {:.6f}",
    "kld_median": "KLD, median         {:.6f}",
    "kld_p99": "KLD, 99 %           {:.6f}",
    "kld_max": "KLD, largest        {:.6f}",
    "same_top": "same likeliest      {:.2%}",
    "tokens": "tokens predicted    {}",
    "kv": "keys and values     {}",
}


def _print(facts: Facts, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(_SHOWN[name].format(value))
