"""`pyllm bench throughput MODEL`: many requests at once, through `LLM.generate`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyllm.cli.bench_figures import Totals, as_json, as_markdown
from pyllm.cli.bench_workload import (
    Item,
    Lengths,
    Source,
    check_lengths,
    engine_options,
    make_items,
    warm_up,
)
from pyllm.llm import LLM
from pyllm.sampling.params import SamplingParams

__all__ = ["bench_throughput"]


def bench_throughput(
    model: Path,
    *,
    input_len: int,
    output_len: int,
    prefix_len: int,
    num_prompts: int,
    dataset_path: str | None,
    seed: int,
    output: str,
    sampling: Mapping[str, Any],
    engine: Mapping[str, Any],
) -> int:
    """Runs the command; returns its exit code."""
    source = Source(num_prompts, dataset_path, Lengths(prefix_len, input_len, output_len), seed)
    with LLM(model, **engine_options(engine, source), seed=seed) as llm:
        tokenizer, max_model_len = llm.get_tokenizer(), llm.model.max_model_len
        items = make_items(source, tokenizer)
        check_lengths(items, max_model_len)
        llm.generate(warm_up(source, tokenizer.n_vocab, max_model_len), use_tqdm=False)
        totals = _measure(llm, items, sampling)
    if output == "json":
        print(as_json({}, totals, {}))
    else:
        print(as_markdown("Offline throughput", {}, totals, {}))
    return 0


def _measure(llm: LLM, items: list[Item], sampling: Mapping[str, Any]) -> Totals:
    params = [
        SamplingParams(max_tokens=item.output_len, ignore_eos=True, **sampling) for item in items
    ]
    began_s = time.perf_counter()
    outputs = llm.generate([item.prompt for item in items], params)
    duration = time.perf_counter() - began_s
    done = [output for output in outputs if output.outputs[0].finish_reason != "error"]
    return Totals(
        completed=len(done),
        failed=len(outputs) - len(done),
        duration=duration,
        total_input_tokens=sum(len(output.prompt_token_ids) for output in done),
        total_output_tokens=sum(len(output.outputs[0].token_ids) for output in done),
    )
