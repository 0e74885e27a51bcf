"""Proposers that tests can steer, and an engine that tries whatever they say."""

from __future__ import annotations

import random
from collections.abc import Callable

from pyllm.engine.engine import Engine
from pyllm.engine.sequence import Sequence
from pyllm.speculation.config import SpeculativeConfig
from pyllm.speculation.prompt_lookup import PromptLookup
from pyllm.speculation.speculator import Speculator
from tests.pyllm.fake_program import N_VOCAB, FakeModel

Guess = Callable[[Sequence, int], list[int]]


class Guesser:
    """Guesses what a function says."""

    num_kinds = 1
    min_draft_tokens = 1

    def __init__(self, guess: Guess, most: int = 8):
        self.guess = guess
        self.most = most
        self.forgotten = []

    def offer(self, sequence):
        return 0, self.most

    def propose(self, sequences, counts):
        return [self.guess(s, count) for s, count in zip(sequences, counts, strict=True)]

    def seconds_for(self, longest):
        return 0.0

    def forget(self, sequence):
        self.forgotten.append(sequence)

    def reset(self):
        pass

    def close(self):
        pass


class EagerSpeculator(Speculator):
    """Tries every guess it is offered, from the first step, whatever it costs."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.times.is_trusted = lambda n_tokens: True
        self.times.record(1, 1.0)

    def _counts(self, offers, base, room):
        counts = []
        for _, limit in offers:
            counts.append(min(limit, room))
            room -= counts[-1]
        return counts


def make_eager(engine):
    """Let an engine try every guess."""
    speculator = EagerSpeculator(
        engine.speculator.proposer,
        engine.scheduler.kv_cache,
        max_rows=len(engine.model.program.columns["logit_rows"]) - engine.scheduler.max_num_seqs,
    )
    engine.speculator = engine.scheduler.speculator = speculator
    return engine


def at_random(sequence, count):
    """An adversary: any tokens, at times fewer than asked for, at times those that came before."""
    random_ = random.Random(len(sequence.tokens) * 31 + sequence.seed)
    kind = random_.randrange(3)
    if kind == 0:
        return [random_.randrange(N_VOCAB) for _ in range(count)]
    if kind == 1:
        return sequence.tokens[-1:] * random_.randrange(1, count + 1)
    return sequence.tokens[:count]


def knowing(answers):
    """Knows the answers by the prompt and the seed, and errs now and then."""

    def guess(sequence, count):
        answer = answers[tuple(sequence.tokens[: sequence.num_prompt_tokens]), sequence.seed]
        place = len(sequence.tokens) - sequence.num_prompt_tokens
        draft = answer[place : place + count]
        if len(sequence.tokens) % 5 == 0 and len(draft) > 1:
            draft[1] = (draft[1] + 1) % N_VOCAB
        return draft or [0]

    return guess


def lookup(**options):
    return PromptLookup(SpeculativeConfig(**options))


def eager_engine(proposer, **model):
    """An engine that tries every guess it is offered."""
    return make_eager(Engine(FakeModel(**{"draft_rows": 24, **model}), proposer=proposer))
