"""What does the Python half of a decode step cost? (schedule, fill, postprocess)

    python bench/step_cost.py [--batches 1 8 32] [--model MODEL.gguf -t 2]

The program is replaced by one that does nothing, so that what remains is Python, in caches that
nobody else uses. The budget is 100 us at batch 32: a 1B model in 4 bits takes 10 ms or more for
such a step. With a model, `LLM.generate` runs it, and what is shown is the time from the end of one
step's computation to the beginning of the next one's: by then the weights have been through the
caches, and Python waits for memory.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pyllm import LLM
from pyllm.engine.engine import Engine
from pyllm.pooling.pooling import ModelPooling
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from pyllm.speculation.config import SpeculativeConfig
from pyllm.speculation.prompt_lookup import PromptLookup

N_VOCAB = 32_000
MAX_SEQS, MAX_BLOCKS = 64, 512


class ByteTokenizer:
    """The least a tokenizer can cost: every token is one letter."""

    n_vocab = N_VOCAB
    eog_ids: frozenset[int] = frozenset({2})

    def __init__(self) -> None:
        self.inner_texts: dict[int, str] = {}

    def piece(self, token: int, *, at_start: bool, skip_special: bool) -> bytes:  # noqa: ARG002
        return b"x"

    def restarts_text(self, token: int) -> bool:  # noqa: ARG002
        return False

    def token_bytes(self, token: int) -> bytes:  # noqa: ARG002
        return b"x"


class NoProgram:
    """Answers token 7 for ever, in no time."""

    def __init__(self) -> None:
        self.columns: Mapping[str, npt.NDArray[Any]] = {
            "tokens": np.zeros(512, np.int32),
            "positions": np.zeros(512, np.int32),
            "seq_starts": np.zeros(MAX_SEQS + 1, np.int32),
            "block_tables": np.zeros((MAX_SEQS, MAX_BLOCKS), np.int32),
            "seed": np.zeros(MAX_SEQS, np.uint64),
            "sampler_order": np.zeros(MAX_SEQS, np.uint64),
            "rng_position": np.zeros(MAX_SEQS, np.int64),
            "sampled": np.full(MAX_SEQS, 7, np.int32),
            "top_ids": np.zeros((MAX_SEQS, 20), np.int32),
            "top_logprobs": np.zeros((MAX_SEQS, 20), np.float32),
        }
        self.columns |= {
            name: np.zeros(MAX_SEQS, np.int32)
            for name in (
                "logit_rows", "top_k", "n_logprobs", "status", "target", "deferred", "min_keep",
                "rank",
            )
        } | {
            name: np.zeros(MAX_SEQS, np.float32)
            for name in (
                "temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty",
                "frequency_penalty", "logprob", "typical_p", "top_n_sigma", "xtc_probability",
                "xtc_threshold", "dynatemp_range", "dynatemp_exponent", "mirostat_tau",
                "mirostat_eta", "mirostat_mu", "mirostat_next",
            )
        }  # fmt: skip

    @property
    def mask_gate(self) -> NoReturn:
        raise NotImplementedError("no request here has a grammar")

    def step(self, *_: object, **__: object) -> None:
        pass

    def interrupt(self) -> None:
        pass

    def sample(self, *_: object) -> None:
        pass


class NewProgram(NoProgram):
    """Answers another token each time: nothing is ever found again."""

    def step(self, *_: object, **__: object) -> None:
        self.columns["sampled"][:] = self.columns["sampled"][0] % (N_VOCAB - 10) + 3


class NoModel:
    """A model with room for everything."""

    def __init__(self, program: NoProgram) -> None:
        self.program = program
        self.tokenizer: Any = ByteTokenizer()
        self.block_size = 32
        self.max_model_len = MAX_BLOCKS * self.block_size
        self.num_kv_blocks = MAX_SEQS * MAX_BLOCKS
        self.kv_window = 0
        self.kv_cache_bytes = 0
        self.pooling = ModelPooling()
        self.prompt_program = None

    def close(self) -> None:
        pass


def step_times_us(
    batch: int, kind: RequestOutputKind, *, lookup: bool = False, **params: Any
) -> list[float]:
    """Microseconds of 2000 steps that decode `batch` sequences."""
    engine = Engine(NoModel(NoProgram()))
    if lookup:
        engine = Engine(NoModel(NewProgram()), proposer=PromptLookup(SpeculativeConfig()))
    for _ in range(batch):
        sampling = SamplingParams(max_tokens=None, output_kind=kind, **params)
        engine.add(engine.make_request(None, [5] * 100, sampling))
    for _ in range(20):  # prompts of 100 tokens, 512 a step: 32 of them are in after 7 steps
        engine.step()
    times = []
    for _ in range(2000):
        start = time.perf_counter()
        engine.step()
        times.append((time.perf_counter() - start) * 1e6)
    return times


class Watched:
    """A program that notes when its steps begin and end."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self.steps: list[tuple[int, float, float]] = []  # tokens, begin, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)

    def step(self, n_tokens: int, *args: Any, **kwargs: Any) -> None:
        begin = time.perf_counter()
        self._program.step(n_tokens, *args, **kwargs)
        self.steps.append((n_tokens, begin, time.perf_counter()))


def gaps_us(model: str, threads: int | None, batch: int) -> tuple[list[float], float]:
    """Microseconds between steps that decode `batch` sequences; median milliseconds of a step."""
    with LLM(model, num_threads=threads, max_num_seqs=batch, max_model_len=256) as llm:
        runner = llm.engine._runner
        watched = runner._program = Watched(runner._program)
        sampling = SamplingParams(temperature=0.8, top_k=40, max_tokens=64, ignore_eos=True)
        prompts = [{"prompt_token_ids": [5 + i] * 100} for i in range(batch)]
        llm.generate(prompts, sampling, use_tqdm=False)
    decodes = [step for step in watched.steps if step[0] == batch]
    gaps = [(b[1] - a[2]) * 1e6 for a, b in itertools.pairwise(decodes)]
    return gaps, statistics.median((end - begin) * 1e3 for _, begin, end in decodes)


CASES: dict[str, tuple[RequestOutputKind, dict[str, Any]]] = {
    "generate": (RequestOutputKind.FINAL_ONLY, {}),
    "stream": (RequestOutputKind.DELTA, {}),
    "stream, stop strings": (RequestOutputKind.DELTA, {"stop": ["\n\n", "User:"]}),
    "generate, prompt lookup": (RequestOutputKind.FINAL_ONLY, {"lookup": True}),
    "generate, penalties": (RequestOutputKind.FINAL_ONLY, {"presence_penalty": 0.5}),
    "generate, 5 logprobs": (RequestOutputKind.FINAL_ONLY, {"logprobs": 5}),
    "generate, mirostat": (RequestOutputKind.FINAL_ONLY, {"mirostat": 2}),
    "generate, DRY": (RequestOutputKind.FINAL_ONLY, {"dry_multiplier": 0.8}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Python's cost of one decode step")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--model", help="measure between the steps of this one")
    parser.add_argument("-t", "--threads", type=int, default=None)
    args = parser.parse_args()
    batches = args.batches
    if args.model:
        print(
            "| batch | us between steps, median (best) | a step, ms | share |\n|---:|---|---:|---:|"
        )
        for batch in batches:
            gaps, step_ms = gaps_us(args.model, args.threads, batch)
            gap = statistics.median(gaps)
            share = gap / 10 / step_ms
            print(f"| {batch} | {gap:.0f} ({min(gaps):.0f}) | {step_ms:.1f} | {share:.2f} % |")
        return
    print("| us per step, median (best) |" + "".join(f" batch {b} |" for b in batches))
    print("|---|" + "---:|" * len(batches))
    for name, (kind, params) in CASES.items():
        cells = []
        for batch in batches:
            times = step_times_us(batch, kind, **params)
            cells.append(f" {statistics.median(times):.0f} ({min(times):.0f}) |")
        print(f"| {name} |" + "".join(cells))


if __name__ == "__main__":
    main()
