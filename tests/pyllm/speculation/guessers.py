"""Proposers and clocks that tests can steer."""

from __future__ import annotations

import random
from collections.abc import Callable

from pyllm.engine import Engine
from pyllm.sequence import Sequence
from pyllm.speculation.config import SpeculativeConfig
from pyllm.speculation.prompt_lookup import PromptLookup
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


class FreeTimes:
    """The more tokens, the shorter a step: everything that is offered is tried."""

    def record(self, n_tokens, seconds):
        pass

    def is_trusted(self, n_tokens):
        return True

    def estimate(self, n_tokens):
        return 2.0**-n_tokens


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
    engine = Engine(FakeModel(**{"draft_rows": 24, **model}), proposer=proposer)
    engine.speculator.times = FreeTimes()
    return engine
