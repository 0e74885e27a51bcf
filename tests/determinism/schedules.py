"""Requests in any order and company, and what each of them says when it is alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import numpy as np

from pyllm.engine.engine import Engine
from pyllm.engine.prompt_pace import PromptPace
from pyllm.engine.sequence import Sequence
from pyllm.kv.window import KVWindow
from pyllm.loader import Model
from pyllm.outputs import RequestOutput
from pyllm.pooling.pooling import PoolingParams
from pyllm.request import Request
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from pyllm.speculation.proposer import Proposer
from tests.pyllm.speculation.guessers import EagerSpeculator

MAX_MODEL_LEN, BLOCK_SIZE = 160, 16

PROMPT_LENGTHS = (1, 2, 15, 16, 17, 40, 90, 130)
SAMPLINGS: tuple[dict[str, Any], ...] = (
    {"temperature": 0},
    {"seed": 11, "top_p": 0.9},
    {"seed": 12, "temperature": 0.8, "top_k": 40, "min_p": 0.01},
    {"seed": 13, "repetition_penalty": 1.2, "presence_penalty": 0.3, "frequency_penalty": 0.2},
    {"seed": 14, "logit_bias": {40: 2.0, 41: -2.0}, "min_tokens": 3},
)


def flatten(prompt: Any, output: Any, logits: np.ndarray) -> np.ndarray:
    """A logits processor whose result depends on all that it sees."""
    return logits * np.float32(0.5 + 0.01 * (len(prompt) + len(output)))


# With state, with what Python computes between two tokens, with rows of their own.
MORE_SAMPLINGS: tuple[dict[str, Any], ...] = (
    {"seed": 20, "mirostat": 1, "mirostat_tau": 3.0},
    {"seed": 21, "mirostat": 2, "mirostat_tau": 4.0, "prompt_logprobs": 1},
    {"seed": 22, "dry_multiplier": 0.8, "dry_allowed_length": 1, "dry_penalty_last_n": -1},
    {"seed": 23, "repetition_penalty": 1.3, "frequency_penalty": 0.4, "repeat_last_n": 8},
    {"seed": 24, "presence_penalty": 0.7, "repeat_last_n": -1, "temperature": 0.2},
    {"temperature": 0, "prompt_logprobs": 2},
    {"seed": 25, "prompt_logprobs": -1, "flat_logprobs": True, "min_tokens": 2},
    {"seed": 26, "structured_outputs": {"regex": "[a-c]{2,4}(xyz)?[0-9]+"}},
    {"seed": 27, "structured_outputs": {"choice": ["abcabcabc", "abd"]}, "logprobs": None,
     "prompt_logprobs": 0},
    {"seed": 28, "structured_outputs": {"regex": "(ab)+[a-z]*"}, "mirostat": 2, "logprobs": None,
     "presence_penalty": 0.5},
    {"seed": 29, "logits_processors": [flatten], "prompt_logprobs": 1, "dry_multiplier": 0.5},
    {"seed": 30, "allowed_token_ids": [2, *range(90, 110)], "top_n_sigma": 2.0},
    {"seed": 31, "bad_words": ["aa", "b"], "allowed_token_ids": [100, 101, 102, 2]},
    {"seed": 32, "xtc_probability": 0.5, "xtc_threshold": 0.01, "logprob_token_ids": [7, 99]},
    {"temperature": 0, "allowed_token_ids": [100, 101], "ignore_eos": True},
    {"seed": 33, "logprobs": -1, "dynatemp_range": 0.5, "min_keep": 3, "typical_p": 0.9},
)  # fmt: skip
ALL_SAMPLINGS = SAMPLINGS + MORE_SAMPLINGS


@dataclass(frozen=True)
class Wish:
    """A request; what it says depends on this alone."""

    prompt: int  # index into PROMPT_LENGTHS
    sampling: int  # index into ALL_SAMPLINGS
    n: int = 1
    max_tokens: int = 12
    pooling: str | None = None  # a text that is read only, pooled so; the rest says nothing then

    def prompt_ids(self) -> list[int]:
        rng = np.random.default_rng(self.prompt)
        return rng.integers(3, 300, PROMPT_LENGTHS[self.prompt]).tolist()

    def params(self, kind: RequestOutputKind) -> SamplingParams:
        fields = {"n": self.n, "max_tokens": self.max_tokens, "logprobs": 2, "output_kind": kind}
        return SamplingParams(**(fields | ALL_SAMPLINGS[self.sampling]))


@dataclass(frozen=True)
class Guest:
    """A wish that joins at a step, perhaps ahead of others, and perhaps leaves before its end."""

    wish: Wish
    arrives: int = 0  # step
    leaves_after: int | None = None  # steps
    priority: int = 0
    kind: RequestOutputKind = RequestOutputKind.FINAL_ONLY


@dataclass(frozen=True)
class Schedule:
    guests: list[Guest]
    spare_blocks: int = 70  # beside those that a request takes at most
    max_num_seqs: int = 8
    budgets: list[int] = field(default_factory=lambda: [512])  # tokens of step 1, 2, … in turns
    # Seconds of the slices of prompts beside step 1, 2, … in turns; None: a step reads them.
    slices: list[float | None] = field(default_factory=lambda: [None])
    interrupted: frozenset[int] = frozenset()  # steps
    failing: frozenset[int] = (
        frozenset()
    )  # numbers of steps that run out of memory after they have run


def blocks_of_one(model: Model) -> int:
    """What a request holds at most: all of its text, or its window and what a step adds."""
    chunk = len(model.program.columns["tokens"])
    return KVWindow(model.kv_window, BLOCK_SIZE).most_blocks(MAX_MODEL_LEN, chunk)


class FlakyProgram:
    """A program whose step number N raises after all its work."""

    def __init__(self, program: Any, failing: frozenset[int]) -> None:
        self._program = program
        self._failing = failing
        self._steps = 0

    def step(self, *arguments: Any, **options: Any) -> None:
        self._program.step(*arguments, **options)
        self._steps += 1
        if self._steps in self._failing:
            raise MemoryError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)


class Slices(PromptPace):
    """Prompts beside decodes are read in slices of given lengths, when it is their turn."""

    def __init__(self, seconds: list[float | None]) -> None:
        super().__init__(2.0)
        self._turns = cycle(seconds)
        # A step lets a prompt in, and must not read all of it.
        self._limit = 512 if seconds == [None] else 3
        self._seconds: float | None = None

    def chunk_limit(self, num_decodes: int, depth: int) -> int | None:
        return self._limit if num_decodes else None

    def is_slow(self, num_decodes: int) -> bool:
        self._seconds = next(self._turns)
        return self._seconds is not None

    def seconds_beside(self, num_decodes: int) -> tuple[float, float]:
        assert self._seconds is not None
        return self._seconds, self._seconds


def solo(model: Model, wish: Wish) -> RequestOutput:
    """What a wish gives when nothing else runs."""
    return run(model, Schedule([Guest(wish)]))[0]  # type: ignore[return-value]


class Knowing:
    """A proposer that knows the answers, and errs now and then."""

    num_kinds = 1
    min_draft_tokens = 1

    def __init__(self, answers: list[RequestOutput]) -> None:
        self._answers = answers  # of each guest
        self.num_guesses = 0

    def offer(self, sequence: Sequence) -> tuple[int, int]:
        return 0, 1 + len(sequence.tokens) % 8

    def propose(self, sequences: list[Sequence], counts: list[int]) -> list[list[int]]:
        drafts = list(map(self._guess, sequences, counts))
        self.num_guesses += sum(map(len, drafts))
        return drafts

    def _guess(self, sequence: Sequence, count: int) -> list[int]:
        written = sequence.tokens[sequence.num_prompt_tokens :]
        draft = [5]
        for part in self._answers[int(sequence.request_id)].outputs:
            if part.token_ids[: len(written)] == written:
                draft = part.token_ids[len(written) :][:count] or [5]
        if len(sequence.tokens) % 5 == 0:
            draft[-1] = (draft[-1] + 1) % 256
        return draft

    def seconds_for(self, longest: int) -> float:
        return 0.0

    def forget(self, sequence: Sequence) -> None:
        pass

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def run(
    model: Model,
    schedule: Schedule,
    check: Callable[[Engine], None] = lambda _: None,
    proposer: Proposer | None = None,
) -> list[RequestOutput | None]:
    """The output of each guest; None of one that left before it had it.

    proposer  every guess that it offers is tried
    """
    program: Any = FlakyProgram(model.program, schedule.failing)
    num_kv_blocks = blocks_of_one(model) + schedule.spare_blocks
    engine = Engine(
        replace(model, num_kv_blocks=num_kv_blocks, program=program),
        proposer=proposer,
        max_logprobs=-1,
    )
    engine._turns.pace = Slices(schedule.slices)
    outputs: dict[str, RequestOutput] = {}
    last_arrival = max(guest.arrives for guest in schedule.guests)
    step = 0
    for step, budget in _steps(schedule):
        _join_and_leave(engine, schedule, step)
        if engine.has_unfinished():
            engine.scheduler.max_num_seqs = min(schedule.max_num_seqs, budget)
            most = len(model.program.columns["tokens"])
            engine.scheduler.max_num_batched_tokens = min(budget, most)
            _try_every_guess(engine)
            if step in schedule.interrupted:
                engine.model.program.interrupt()
            _collect(engine, outputs)
            check(engine)
        elif step > last_arrival:
            break
    assert engine.scheduler.kv_cache.num_free_blocks == num_kv_blocks
    return [outputs.get(str(number)) for number in range(len(schedule.guests))]


def _try_every_guess(engine: Engine) -> None:
    """An engine that has recovered has a speculator that is careful again."""
    careful = engine.speculator
    if careful is not None and not isinstance(careful, EagerSpeculator):
        engine.speculator = engine.scheduler.speculator = EagerSpeculator(
            careful.proposer, engine.scheduler.kv_cache, max_rows=careful._max_rows
        )


def _steps(schedule: Schedule) -> Iterator[tuple[int, int]]:
    for step, budget in enumerate(cycle(schedule.budgets)):
        assert step < 20_000, "a request is stuck"
        yield step, budget


def _join_and_leave(engine: Engine, schedule: Schedule, step: int) -> None:
    for number, guest in enumerate(schedule.guests):
        if guest.arrives == step:
            engine.add(_request(engine, guest, str(number)))
        if guest.leaves_after is not None and guest.arrives + guest.leaves_after == step:
            engine.abort(str(number))


def _request(engine: Engine, guest: Guest, name: str) -> Request:
    wish = guest.wish
    if wish.pooling is not None:
        pooling = PoolingParams(pooling_type=wish.pooling)
        return engine.make_pooling_request(None, wish.prompt_ids(), pooling, name, guest.priority)
    params = wish.params(guest.kind)
    return engine.make_request(None, wish.prompt_ids(), params, name, guest.priority)


def _collect(engine: Engine, outputs: dict[str, RequestOutput]) -> None:
    for output in engine.step():
        if output.finished:
            outputs[output.request_id] = output
