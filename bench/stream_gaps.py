"""Do running streams wait while a long prompt is read?

    python bench/stream_gaps.py MODEL.gguf [--streams 8] [--prompt 16384] [-t 2] [--slowdown 2]
    python bench/stream_gaps.py MODEL.gguf --prompt 16384 --read 15872

Streams write alone for a while, then a long prompt arrives, and when it is read they write alone
again. A gap is the time between two tokens of one stream. The promise: the 99th percentile of the
gaps beside the prompt is at most twice the median alone. Streams that go on for thousands of tokens
take longer alone, too: each gap is measured by the median of its time, on a straight line from
before the prompt to after it. With --read only the end of the prompt is read beside them, where
each of its tokens attends to most and costs most; the beginning is in the prefix cache.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass, field

import numpy as np

from pyllm import AsyncLLM, RequestOutputKind, SamplingParams

STREAM_PROMPT, WARM_TOKENS, ALONE_TOKENS = 128, 4, 40


@dataclass
class Gaps:
    """Milliseconds between tokens, by what was going on."""

    before: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # seconds, when those beside ended
    start: float | None = None  # seconds, of the reading
    end: float | None = None

    def add(self, gap_ms: float, now: float) -> None:
        if self.start is None:
            self.before.append(gap_ms)
        elif self.end is None:
            self.beside.append(gap_ms)
            self.times.append(now)
        else:
            self.after.append(gap_ms)

    def ratio(self) -> float:
        """The 99th percentile of gaps beside the prompt, in medians alone."""
        assert self.start is not None
        assert self.end is not None
        medians = [np.median(self.before), np.median(self.after)]
        alone = np.interp(self.times, [self.start, self.end], medians)
        return float(np.percentile(self.beside / alone, 99))


def random_prompt(seed: int, length: int) -> list[int]:
    return np.random.default_rng(seed).integers(100, 1000, length).tolist()  # type: ignore[no-any-return]


async def write_on(llm: AsyncLLM, seed: int, gaps: Gaps, warm: asyncio.Barrier) -> None:
    """Stream until cancelled; `warm` opens when every stream has written enough alone."""
    params = SamplingParams(max_tokens=None, ignore_eos=True, output_kind=RequestOutputKind.DELTA)
    prompt = {"prompt_token_ids": random_prompt(seed, STREAM_PROMPT)}
    count, before = 0, 0.0
    waiting: asyncio.Task[int] | None = None
    async for output in llm.generate(prompt, params):
        now = time.perf_counter()
        count += len(output.outputs[0].token_ids)
        if count > WARM_TOKENS:
            gaps.add((now - before) * 1e3, now)
        before = now
        if waiting is None and count >= WARM_TOKENS + ALONE_TOKENS:
            waiting = asyncio.create_task(warm.wait())


async def read_prompt(llm: AsyncLLM, token_ids: list[int]) -> None:
    async for _ in llm.generate({"prompt_token_ids": token_ids}, SamplingParams(max_tokens=1)):
        pass


async def measure(llm: AsyncLLM, streams: int, prompt: list[int]) -> Gaps:
    gaps, warm = Gaps(), asyncio.Barrier(streams + 1)
    tasks = [asyncio.create_task(write_on(llm, seed, gaps, warm)) for seed in range(streams)]
    await warm.wait()
    gaps.start = time.perf_counter()
    await read_prompt(llm, prompt)
    gaps.end = time.perf_counter()
    while len(gaps.after) < streams * ALONE_TOKENS:
        await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return gaps


def percentiles(gaps: list[float]) -> str:
    p50, p90, p99 = np.percentile(gaps, [50, 90, 99])
    return f"{p50:.0f} | {p90:.0f} | {p99:.0f} | {max(gaps):.0f}"


async def main() -> None:
    parser = argparse.ArgumentParser(description="Gaps of streams beside a long prompt")
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=16384)
    parser.add_argument("--read", type=int, default=0, help="prompt tokens read before, alone")
    parser.add_argument("-t", "--threads", type=int, default=None)
    parser.add_argument("--slowdown", type=float, default=2.0, help="0: chunks of full size")
    options = parser.parse_args()
    llm = AsyncLLM(
        options.model,
        num_threads=options.threads,
        max_num_seqs=options.streams + 1,
        max_decode_slowdown=options.slowdown or None,
    )
    async with llm:
        prompt = random_prompt(-1 % 2**32, options.prompt)
        if options.read:
            await read_prompt(llm, prompt[: options.read])
        gaps = await measure(llm, options.streams, prompt)
    assert gaps.start is not None
    assert gaps.end is not None
    count = options.prompt - options.read
    rate = count / (gaps.end - gaps.start)
    print("| gaps, ms | p50 | p90 | p99 | worst |\n|---|---:|---:|---:|---:|")
    print(f"| {options.streams} streams alone, before | {percentiles(gaps.before)} |")
    print(f"| beside {count} prompt tokens at {rate:.0f}/s | {percentiles(gaps.beside)} |")
    print(f"| alone, after | {percentiles(gaps.after)} |")
    print(f"\np99 beside / p50 alone: {gaps.ratio():.2f}")


if __name__ == "__main__":
    asyncio.run(main())
