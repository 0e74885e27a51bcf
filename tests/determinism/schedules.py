"""Requests in any order and company, and what each of them says when it is alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import numpy as np

from pyllm.engine import Engine
from pyllm.loader import Model
from pyllm.outputs import CompletionOutput
from pyllm.sampling import RequestOutputKind, SamplingParams

MAX_MODEL_LEN, BLOCK_SIZE = 160, 16
BLOCKS_OF_ONE = MAX_MODEL_LEN // BLOCK_SIZE

PROMPT_LENGTHS = (1, 2, 15, 16, 17, 40, 90, 130)
SAMPLINGS: tuple[dict[str, Any], ...] = (
    {"temperature": 0},
    {"seed": 11, "top_p": 0.9},
    {"seed": 12, "temperature": 0.8, "top_k": 40, "min_p": 0.01},
    {"seed": 13, "repetition_penalty": 1.2, "presence_penalty": 0.3, "frequency_penalty": 0.2},
    {"seed": 14, "logit_bias": {40: 2.0, 41: -2.0}, "min_tokens": 3},
)


@dataclass(frozen=True)
class Wish:
    """A request; what it says depends on this alone."""

    prompt: int  # index into PROMPT_LENGTHS
    sampling: int  # index into SAMPLINGS
    n: int = 1
    max_tokens: int = 12

    def prompt_ids(self) -> list[int]:
        rng = np.random.default_rng(self.prompt)
        return rng.integers(3, 300, PROMPT_LENGTHS[self.prompt]).tolist()

    def params(self, kind: RequestOutputKind) -> SamplingParams:
        return SamplingParams(
            n=self.n, max_tokens=self.max_tokens, logprobs=2, output_kind=kind,
            **SAMPLINGS[self.sampling],
        )  # fmt: skip


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
    num_kv_blocks: int = 8 * BLOCKS_OF_ONE
    max_num_seqs: int = 8
    budgets: list[int] = field(default_factory=lambda: [512])  # tokens of step 1, 2, … in turns
    interrupted: frozenset[int] = frozenset()  # steps
    failing: frozenset[int] = (
        frozenset()
    )  # numbers of steps that run out of memory after they have run


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


def solo(model: Model, wish: Wish) -> list[CompletionOutput]:
    """What a wish gives when nothing else runs."""
    return run(model, Schedule([Guest(wish)]))[0]  # type: ignore[return-value]


def run(
    model: Model, schedule: Schedule, check: Callable[[Engine], None] = lambda _: None
) -> list[list[CompletionOutput] | None]:
    """The outputs of each guest; None of one that left before it had them."""
    program: Any = FlakyProgram(model.program, schedule.failing)
    engine = Engine(replace(model, num_kv_blocks=schedule.num_kv_blocks, program=program))
    outputs: dict[str, list[CompletionOutput]] = {}
    last_arrival = max(guest.arrives for guest in schedule.guests)
    step = 0
    for step, budget in _steps(schedule):
        _join_and_leave(engine, schedule, step)
        if engine.has_unfinished():
            engine.scheduler.max_num_seqs = min(schedule.max_num_seqs, budget)
            engine.scheduler.max_num_batched_tokens = budget
            if step in schedule.interrupted:
                engine.model.program.interrupt()
            _collect(engine, outputs)
            check(engine)
        elif step > last_arrival:
            break
    assert engine.scheduler.kv_cache.num_free_blocks == schedule.num_kv_blocks
    return [outputs.get(str(number)) for number in range(len(schedule.guests))]


def _steps(schedule: Schedule) -> Iterator[tuple[int, int]]:
    for step, budget in enumerate(cycle(schedule.budgets)):
        assert step < 20_000, "a request is stuck"
        yield step, budget


def _join_and_leave(engine: Engine, schedule: Schedule, step: int) -> None:
    for number, guest in enumerate(schedule.guests):
        if guest.arrives == step:
            params = guest.wish.params(guest.kind)
            ids = guest.wish.prompt_ids()
            engine.add(engine.make_request(None, ids, params, str(number), guest.priority))
        if guest.leaves_after is not None and guest.arrives + guest.leaves_after == step:
            engine.abort(str(number))


def _collect(engine: Engine, outputs: dict[str, list[CompletionOutput]]) -> None:
    for output in engine.step():
        if output.finished:
            outputs[output.request_id] = output.outputs
