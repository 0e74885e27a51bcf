"""What the prefix cache saves: requests that begin alike, and the same prompt after a restart.

    python bench/prefix.py MODEL.gguf [--requests 64 --prefix 2000] [--prompt 4000]

First all requests at once, without and with the cache; then one prompt in a process of its own,
twice, with a directory for computed blocks that is empty the first time. Prints markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pyllm import LLM, SamplingParams
from pyllm.loader import load_model

OWN = 16  # tokens of a request after the common prefix
GENERATE = 8


def random_tokens(count: int, seed: int) -> list[int]:
    """Ids that every vocabulary has as plain tokens."""
    tokens: list[int] = np.random.default_rng(seed).integers(300, 500, count).tolist()
    return tokens


def shared_seconds(model: str, requests: int, prefix: int, threads: int | None) -> list[float]:
    """Seconds that all requests take, without and with the cache."""
    common = random_tokens(prefix, 0)
    prompts = [
        {"prompt_token_ids": common + random_tokens(OWN, 1 + number)} for number in range(requests)
    ]
    loaded = load_model(
        model,
        num_threads=threads,
        max_model_len=prefix + OWN + GENERATE,
        max_num_seqs=min(requests, 16),
    )
    params = SamplingParams(max_tokens=GENERATE, temperature=0, ignore_eos=True)
    seconds, texts = [], []
    for cached in (False, True):
        # Both engines use the pool of the one model; the first is done with it by then.
        llm = LLM.from_model(loaded, enable_prefix_caching=cached)
        llm.generate({"prompt_token_ids": random_tokens(OWN, 99)}, params)  # packs the weights
        start = time.perf_counter()
        outputs = llm.generate(prompts, params)
        seconds.append(time.perf_counter() - start)
        texts.append([output.outputs for output in outputs])
    if texts[0] != texts[1]:
        raise RuntimeError("the cache changed an answer")
    llm.close()
    return seconds


def first_token_seconds(model: str, prompt: int, threads: int | None, directory: Path) -> None:
    """Print seconds from the start of loading and from the request to the first token."""
    start = time.perf_counter()
    llm = LLM(
        model,
        num_threads=threads,
        max_model_len=prompt + 8,
        max_num_seqs=1,
        packed_cache=True,
        prefix_cache_dir=directory,
    )
    params = SamplingParams(max_tokens=2, temperature=0, ignore_eos=True)
    asked = time.perf_counter()
    stream = llm.stream({"prompt_token_ids": random_tokens(prompt, 0)}, params)
    next(stream)
    now = time.perf_counter()
    list(stream)
    llm.close()
    print(now - start, now - asked)


def restart_seconds(model: str, prompt: int, threads: int | None) -> list[list[float]]:
    """[cold, warm], each [from the start of loading, from the request]."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, model, "--prompt", str(prompt)]
        command += ["--child", directory, *(["--threads", str(threads)] if threads else [])]
        return [
            [float(word) for word in subprocess.check_output(command, text=True).split()]
            for _ in range(2)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description="What the prefix cache saves")
    parser.add_argument("model")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--prefix", type=int, default=2000, help="tokens that requests share")
    parser.add_argument("--prompt", type=int, default=4000, help="tokens of the repeated prompt")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    model, threads = arguments.model, arguments.threads
    if arguments.child:
        first_token_seconds(model, arguments.prompt, threads, arguments.child)
        return
    print("| | without | with | ratio |\n|---|---:|---:|---:|")
    without, cached = shared_seconds(model, arguments.requests, arguments.prefix, threads)
    name = f"{arguments.requests} requests, {arguments.prefix} tokens in common"
    print(f"| {name} | {without:.2f} s | {cached:.2f} s | {without / cached:.1f} x |")
    cold, warm = restart_seconds(model, arguments.prompt, threads)
    for place, since in enumerate(("loading", "the request")):
        name = f"{arguments.prompt} tokens after a restart, first token since {since}"
        print(f"| {name} | {cold[place]:.2f} s | {warm[place]:.2f} s "
              f"| {cold[place] / warm[place]:.1f} x |")  # fmt: skip


if __name__ == "__main__":
    main()
