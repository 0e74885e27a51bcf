"""The speculator on a simulated clock: it gains where guesses are right and stops where not."""

import random

import pytest

from pyllm.engine.sequence import Sequence
from pyllm.kv.cache import KVCache
from pyllm.sampling.bad_words import BadWords
from pyllm.sampling.params import SamplingParams
from pyllm.sampling.token_bias import TokenBias
from pyllm.sampling.token_mask import AllowedTokens
from pyllm.speculation.speculator import Speculator
from tests.pyllm.fake_program import FakeTokenizer
from tests.pyllm.speculation.guessers import EagerSpeculator, Guesser


class LoneWords(FakeTokenizer):
    """Every word is one token."""

    def encode(self, text, **_):
        return [ord(text[-1])]


def memory_bound(n_tokens):
    return 1 + 0.08 * (n_tokens - 1)


def compute_bound(n_tokens):
    return 1 + 0.9 * (n_tokens - 1)


def sequence_of(num_tokens=10, **options):
    return Sequence(
        "r", SamplingParams(), 0, num_tokens, frozenset(), None, None, [1] * num_tokens, **options
    )


def speculator_of(proposer, *, num_blocks=10_000, max_rows=64):
    return Speculator(proposer, KVCache(num_blocks, 16), max_rows=max_rows)


def eager_speculator_of(proposer, *, num_blocks=10_000, max_rows=64):
    return EagerSpeculator(proposer, KVCache(num_blocks, 16), max_rows=max_rows)


def gain(chance, *, cost, batch=1, steps=400, noise=0.0, warm_up=True):
    """Tokens per second of a simulation, with guesses right by `chance`, over those without.

    chance  a number, or a function of the number of tokens so far
    """
    random_ = random.Random(5)
    speculator = speculator_of(Guesser(lambda _, count: [2] * count, most=16), max_rows=40)
    sequences = [sequence_of() for _ in range(batch)]
    for sequence in sequences:
        speculator._kv_cache.grow(sequence, 20)
    seconds = tokens = 0.0
    for step in range(steps):
        drafted = speculator.draft(sequences, 512)
        assert drafted == sum(len(sequence.draft) for sequence in sequences) <= 40
        size = batch + drafted
        took = cost(size) * (1 + noise * random_.random() ** 4)
        speculator.record_step(size, size, took)
        if step >= 10 or not warm_up:
            seconds += took
        for sequence in sequences:
            draft, sequence.draft = sequence.draft, []
            right = 0
            rate = chance(len(sequence.tokens)) if callable(chance) else chance
            while right < len(draft) and random_.random() < rate:
                right += 1
            sequence.tokens += [1] * (right + 1)
            speculator._kv_cache.grow(sequence, len(sequence.tokens))
            if draft:
                speculator.record_draft(sequence, right, failed=right < len(draft))
            if step >= 10 or not warm_up:
                tokens += right + 1
    return tokens / seconds / (batch / cost(batch))


@pytest.mark.parametrize("cost", [memory_bound, compute_bound])
@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("steps", [64, 400, 2000])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_guesses_that_are_always_wrong_cost_little(cost, batch, steps, noise):
    """2 % is the promise; a request of 64 tokens pays the first allowance too."""
    plain = gain(0.0, cost=lambda n: cost(batch), batch=batch, steps=steps, noise=noise)
    assert gain(0.0, cost=cost, batch=batch, steps=steps, noise=noise) / plain >= 0.98


@pytest.mark.parametrize("chance", [0.05, 0.2, 0.5])
def test_a_cost_as_high_as_the_gain_is_no_loss(chance):
    assert gain(chance, cost=compute_bound, batch=8) >= 0.98


def test_right_guesses_pay():
    assert gain(0.95, cost=memory_bound) > 3
    assert gain(0.5, cost=memory_bound) > 1.4
    assert gain(0.9, cost=memory_bound, batch=8) > 1.4


def test_it_finds_back_when_guesses_become_right():
    def chance(num_tokens):
        return 0.95 if num_tokens > 600 else 0.0

    late = gain(chance, cost=memory_bound, steps=700)
    assert late > 1.3


def test_an_advantage_that_ends_is_given_up():
    def chance(num_tokens):
        return 0.95 if num_tokens < 600 else 0.0

    assert gain(chance, cost=compute_bound, steps=2000) >= 0.98


def test_a_draft_leaves_room_for_the_token_after_it():
    speculator = eager_speculator_of(Guesser(lambda _, count: [2] * count))
    sequence = sequence_of(10, max_length=14)
    assert speculator.draft([sequence], 100) == len(sequence.draft) == 3
    assert sequence.num_scheduled_tokens == 4
    sequence.draft = []
    sequence.tokens += [1, 1, 1]
    assert speculator.draft([sequence], 100) == 0


def test_prompts_keep_half_of_the_budget_and_rows_are_limited():
    sequences = [sequence_of() for _ in range(4)]
    speculator = eager_speculator_of(Guesser(lambda _, count: [2] * count), max_rows=7)
    assert speculator.draft(sequences, 100) == 7
    assert speculator.draft(sequences, 9) == 4
    assert speculator.draft(sequences, 1) == 0


def test_nobody_loses_a_block_to_a_guess():
    speculator = eager_speculator_of(Guesser(lambda _, count: [2] * count), num_blocks=3)
    one, two = sequence_of(16), sequence_of(16)
    for sequence in (one, two):
        speculator._kv_cache.grow(sequence, 16)
    assert speculator.draft([one, two], 100) == 0
    assert speculator._kv_cache.num_free_blocks == 1
    speculator._kv_cache.release(two)
    assert speculator.draft([one], 100) > 0


@pytest.mark.parametrize(
    "options",
    [
        {"grammar": object()},  # whatever it says of the next token
        {"dry": object()},
        {"followers": (object(),)},
        {"processors": (print,)},
        {"bias": TokenBias({}, (), BadWords(["abc"], FakeTokenizer()))},
        {"params": SamplingParams(mirostat=2)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_cannot_be_sampled_ahead_is_left_alone(options):
    speculator = eager_speculator_of(Guesser(lambda _, count: [2] * count))
    sequence = sequence_of()
    for name, value in options.items():
        setattr(sequence, name, value)
    assert not sequence.can_speculate
    assert speculator.draft([sequence], 100) == 0


def test_what_looks_at_the_tokens_before_only_can_be_sampled_ahead():
    sequence = sequence_of()
    sequence.bias = TokenBias({5: 1.0}, {2}, BadWords(["a"], LoneWords()))
    sequence.mask = AllowedTokens([1, 2], 272)
    assert sequence.can_speculate


def test_fewer_guesses_than_wanted_are_not_tried():
    guesser = Guesser(lambda _, count: [2] * count, most=3)
    guesser.min_draft_tokens = 4
    speculator = eager_speculator_of(guesser)
    assert speculator.draft([sequence_of()], 100) == 0


def test_an_ended_sequence_is_forgotten_by_who_guessed_for_it():
    guesser = Guesser(lambda _, count: [2] * count)
    speculator = eager_speculator_of(guesser)
    sequence = sequence_of()
    speculator.draft([sequence], 100)
    speculator.forget(sequence)
    assert guesser.forgotten == [sequence]


def test_a_machine_that_computes_all_the_time_is_not_asked():
    """Each offer costs Python time: none are made where even right guesses would not pay."""

    class Asked(Guesser):
        offers = 0

        def offer(self, sequence):
            Asked.offers += 1
            return super().offer(sequence)

    speculator = speculator_of(Asked(lambda _, count: [2] * count))
    sequences = [sequence_of() for _ in range(32)]
    for _ in range(4):
        speculator.times.record(32, 1.0)
    speculator.times.record(64, 2.5)
    assert speculator.draft(sequences, 512) == Asked.offers == 0
