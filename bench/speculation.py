"""What does guessing gain where it helps, and cost where it cannot?

    python bench/speculation.py bench/models/llama1b-Q4_K_M.gguf [--threads 2 --rounds 2]

One request at a time, decoding only, plain and with prompt lookup in turn. Every step is computed
in full, but a model with random weights would never copy, so what it samples is replaced by a
written answer: a guess is right when the answer says the same. Texts are cut where Llama 3 cuts
words, each different piece being one token, as a vocabulary of 128,000 knows most of them.

    edit    a source file, to be written again with five changes
    prose   one page after another: English text with what repetition it happens to have
    noise   the worst case: 60 pieces in random order, pairs of which occurred before by chance
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyllm.engine.engine import Engine
from pyllm.loader import Model, load_model
from pyllm.sampling.params import SamplingParams
from pyllm.speculation.config import SpeculativeConfig
from pyllm.speculation.prompt_lookup import PromptLookup
from pyllm.tokenizer.pretokenizers import pre_tokenizer

REPOSITORY = Path(__file__).parents[1]
EDITS = [
    ("TextStream", "TextWriter"),
    ("may_match: bool", "may_match: bool = True"),
    ("Complete characters only", "Only whole characters"),
    ("half characters", "incomplete characters"),
    ("self.matched = stops.matched", "self.matched = self._stops.matched"),
]
PROMPT = 300  # tokens of prose and noise
FIRST_ID = 300  # ids of pieces: whichever, the vocabulary is made up


@dataclass(frozen=True)
class Task:
    prompt: list[int]
    answer: list[int]


class Replay:
    """A program whose answers are given: runs every step, then says what was written."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self.columns = program.columns
        self.text: list[int] = []  # prompt and answer

    def step(self, n_tokens: int, n_seqs: int, n_rows: int, *inputs: Any, **options: Any) -> None:
        self._program.step(n_tokens, n_seqs, n_rows, *inputs, **options)
        places = self.columns["rng_position"][:n_rows].tolist()
        self.columns["sampled"][:n_rows] = [self.text[min(p, len(self.text) - 1)] for p in places]

    def interrupt(self) -> None:
        self._program.interrupt()


class Replayed:
    """The model around it."""

    def __init__(self, model: Model) -> None:
        self.program: Any = Replay(model.program)
        self.tokenizer = model.tokenizer
        self.max_model_len = model.max_model_len
        self.num_kv_blocks = model.num_kv_blocks
        self.block_size = model.block_size
        self.kv_window = model.kv_window
        self.kv_cache_bytes = model.kv_cache_bytes
        self.pooling = model.pooling
        self.prompt_program = None

    def close(self) -> None:
        self.program.columns = {}


def tasks(count: int) -> dict[str, Task]:
    ids: dict[str, int] = {}

    words = pre_tokenizer("llama-bpe").words

    def tokens(text: str) -> list[int]:
        return [ids.setdefault(piece, FIRST_ID + len(ids)) for piece in words(text)]

    source = (REPOSITORY / "pyllm/text/text_stream.py").read_text()
    edited = source
    for before, after in EDITS:
        assert before in edited
        edited = edited.replace(before, after)
    ask = "Rename TextStream to TextWriter and make may_match optional.\n\n"
    prose = tokens((REPOSITORY / "docs/how-it-works.md").read_text())
    draw = random.Random(1)
    noise = [FIRST_ID + draw.randrange(60) for _ in range(PROMPT + count)]
    return {
        "edit": Task(tokens(ask + source), tokens(edited)),
        "prose": Task(prose[:PROMPT], prose[PROMPT : PROMPT + count]),
        "noise": Task(noise[:PROMPT], noise[PROMPT:]),
    }


def rate(engine: Engine, model: Replayed, task: Task) -> tuple[float, int, int]:
    """Tokens per second after the first one, guesses and right guesses."""
    model.program.text = task.prompt + task.answer
    params = SamplingParams(temperature=0, max_tokens=len(task.answer), ignore_eos=True)
    request = engine.make_request(None, task.prompt, params)
    engine.add(request)
    while engine.has_unfinished():
        outputs = engine.step()
    (output,) = outputs
    assert output.outputs[0].token_ids == task.answer
    metrics = output.metrics
    assert metrics is not None
    assert metrics.finished_time is not None
    assert metrics.first_token_time is not None
    seconds = metrics.finished_time - metrics.first_token_time
    speed = (len(task.answer) - 1) / seconds
    return speed, metrics.num_draft_tokens, metrics.num_accepted_tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=160, help="of prose and noise")
    parser.add_argument("--tasks", nargs="+", default=["edit", "prose", "noise"])
    args = parser.parse_args()
    config = SpeculativeConfig()
    loaded = load_model(
        args.model, num_threads=args.threads, max_model_len=2048, max_num_seqs=1,
        speculation=config,
    )  # fmt: skip
    model = Replayed(loaded)
    # One engine at a time holds the cache: each request begins when the one before has ended.
    make: dict[str, Callable[[], Engine]] = {
        "plain": lambda: Engine(model, enable_prefix_caching=False),
        "lookup": lambda: Engine(model, enable_prefix_caching=False, proposer=PromptLookup(config)),
    }
    todo = tasks(args.tokens)
    engines = {kind: build() for kind, build in make.items()}
    for engine in engines.values():  # weights are packed, clocks are up
        rate(engine, model, Task(todo["prose"].prompt[:64], todo["prose"].answer[:8]))
    print("| task | plain tok/s | lookup tok/s | ratio of medians | guessed | right |")
    print("|---|---|---|---|---|---|")
    for name in args.tasks:
        rounds = []
        for _ in range(args.rounds):
            plain, _, _ = rate(engines["plain"], model, todo[name])
            rounds.append((plain, *rate(engines["lookup"], model, todo[name])))
        plains, lookups, guessed, right = zip(*rounds, strict=True)
        ratio = statistics.median(lookups) / statistics.median(plains)
        cells = [", ".join(f"{n:.1f}" for n in speeds) for speeds in (plains, lookups)]
        cells += [f"{ratio:.3f}", *(", ".join(map(str, counts)) for counts in (guessed, right))]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    speculator = engines["lookup"].speculator
    assert speculator is not None
    sizes = (1, 2, 4, 8, 12, 17)
    times = ", ".join(f"{n}: {speculator.times.estimate(n) * 1e3:.1f} ms" for n in sizes)
    print(f"\nstep by tokens, as the engine learned it: {times}")
    loaded.close()


if __name__ == "__main__":
    main()
