"""`pyllm bench serve MODEL`: requests that arrive over time, through `AsyncLLM`, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyllm.async_llm import AsyncLLM
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
from pyllm.latency import RequestTimes, latencies
from pyllm.progress import ProgressBar
from pyllm.sampling.params import RequestOutputKind, SamplingParams

__all__ = ["arrival_times", "bench_serve"]


def bench_serve(
    model: Path,
    *,
    request_rate: float,
    burstiness: float,
    max_concurrency: int | None,
    random_input_len: int,
    random_output_len: int,
    random_prefix_len: int,
    num_prompts: int,
    dataset_path: str | None,
    seed: int,
    output: str,
    sampling: Mapping[str, Any],
    engine: Mapping[str, Any],
) -> int:
    """Runs the command; returns its exit code."""
    lengths = Lengths(random_prefix_len, random_input_len, random_output_len)
    source = Source(num_prompts, dataset_path, lengths, seed)
    options = engine_options(engine, source)
    clients = Clients(request_rate, burstiness, max_concurrency, seed, sampling)
    answers, duration = asyncio.run(_run(model, options, source, clients))
    done = [answer for answer in answers if not answer.failed]
    totals = Totals(
        completed=len(done),
        failed=len(answers) - len(done),
        duration=duration,
        total_input_tokens=sum(answer.num_prompt_tokens for answer in done),
        total_output_tokens=sum(answer.times.num_tokens for answer in done),
    )
    found = latencies(answer.times for answer in done)
    if output == "json":
        print(as_json(clients.settings(), totals, found))
    else:
        print(as_markdown("Serving", clients.settings(), totals, found))
    return 0


@dataclass(frozen=True)
class Clients:
    """How requests are sent."""

    request_rate: float  # per second
    burstiness: float
    max_concurrency: int | None
    seed: int
    sampling: Mapping[str, Any]

    def settings(self) -> dict[str, float | None]:
        """What the report says of them; JSON has no infinity."""
        rate = None if math.isinf(self.request_rate) else self.request_rate
        shape = None if rate is None or math.isinf(self.burstiness) else self.burstiness
        concurrency = self.max_concurrency
        return {"request_rate": rate, "burstiness": shape, "max_concurrency": concurrency}

    def params(self, item: Item) -> SamplingParams:
        return SamplingParams(
            max_tokens=item.output_len,
            ignore_eos=True,
            output_kind=RequestOutputKind.DELTA,
            **self.sampling,
        )


@dataclass(slots=True)
class Answer:
    """What a client got."""

    times: RequestTimes
    num_prompt_tokens: int = 0
    failed: bool = False


def arrival_times(count: int, rate: float, burstiness: float, seed: int) -> list[float]:
    """Seconds after the first at which requests arrive, `rate` a second on average.

    The gaps have a gamma distribution of shape `burstiness`: 1 is a Poisson process, infinity a
    clock.
    """
    if math.isinf(rate):
        return [0.0] * count
    if math.isinf(burstiness):
        return [number / rate for number in range(count)]
    rng = np.random.default_rng(seed)
    gaps = rng.gamma(burstiness, 1 / (rate * burstiness), max(count - 1, 0))
    return [0.0, *np.cumsum(gaps).tolist()][:count]


async def _run(
    model: Path, options: Mapping[str, Any], source: Source, clients: Clients
) -> tuple[list[Answer], float]:
    """Answers in the order of the requests, and the seconds from the first to the last token."""
    unlimited: dict[str, Any] = {"max_num_queued_requests": None, "max_num_queued_tokens": None}
    async with AsyncLLM(model, **options, **unlimited, seed=source.seed) as llm:
        tokenizer, max_model_len = llm.get_tokenizer(), llm.model.max_model_len
        items = make_items(source, tokenizer)
        check_lengths(items, max_model_len)
        async for _ in llm.generate(warm_up(source, tokenizer.n_vocab, max_model_len)):
            pass
        return await _send_all(llm, items, clients)


async def _send_all(
    llm: AsyncLLM, items: list[Item], clients: Clients
) -> tuple[list[Answer], float]:
    limit = clients.max_concurrency
    gate = contextlib.nullcontext() if limit is None else asyncio.Semaphore(limit)
    starts = arrival_times(len(items), clients.request_rate, clients.burstiness, clients.seed)
    began_s = time.perf_counter()
    num_done = 0
    with ProgressBar("requests") as bar:

        async def send(item: Item, start: float) -> Answer:
            nonlocal num_done
            await asyncio.sleep(began_s + start - time.perf_counter())
            async with gate:
                answer = await _send(llm, item, clients.params(item))
            num_done += 1
            bar(num_done, len(items))
            return answer

        answers = await asyncio.gather(*map(send, items, starts))
    return answers, time.perf_counter() - began_s


async def _send(llm: AsyncLLM, item: Item, params: SamplingParams) -> Answer:
    answer = Answer(RequestTimes(time.perf_counter()))
    async for report in llm.generate(item.prompt, params):
        (part,) = report.outputs
        answer.times.add(time.perf_counter(), len(part.token_ids))
        answer.num_prompt_tokens = len(report.prompt_token_ids)
        answer.failed = part.finish_reason == "error"
    return answer
