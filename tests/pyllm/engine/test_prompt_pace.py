"""The size of a chunk follows from how long steps take; a machine made of numbers shows it."""

import random
from itertools import pairwise

import pytest

from pyllm.engine.prompt_pace import PromptPace


class Machine:
    """Seconds of a step: so much for `decodes` alone, so much for each prompt token.

    deeper  seconds that a prompt token takes more for each token before it
    """

    def __init__(self, solo=0.050, per_token=0.004, noise=0.0, curve=0.0, deeper=0.0):
        self.solo, self.per_token, self.noise, self.curve = solo, per_token, noise, curve
        self.deeper, self.depth = deeper, 0
        self.random = random.Random(1)

    def seconds(self, prompt_tokens, depth=0):
        per_token = self.per_token + self.deeper * depth
        seconds = self.solo + per_token * prompt_tokens + self.curve * prompt_tokens**0.5
        if self.random.random() < self.noise:
            seconds *= self.random.choice([0.3, 3, 10])
        return seconds

    def decode(self, times, steps, decodes=8):
        for _ in range(steps):
            times.add(self.seconds(0), decodes, 0)

    def read(self, times, steps, decodes=8):
        """Steps that take as much of an endless prompt as they may; their sizes."""
        sizes = []
        for _ in range(steps):
            size = times.chunk_limit(decodes, self.depth)
            times.add(self.seconds(size, self.depth), decodes, size)
            sizes.append(size)
            self.depth += size
        return sizes


def warm(machine, **options):
    times = PromptPace(options.pop("max_decode_slowdown", 2.0))
    machine.decode(times, 5)
    machine.read(times, 40)
    return times


def without_probes(sizes):
    return [size for size in sizes if size > 0]


def test_no_limit_without_decodes_or_when_switched_off():
    assert PromptPace(2.0).chunk_limit(0, 0) is None
    assert PromptPace(None).chunk_limit(8, 0) is None


@pytest.mark.parametrize("machine", [Machine(), Machine(noise=0.1), Machine(curve=0.005)])
def test_steps_stay_within_the_limit(machine):
    sizes = without_probes(machine.read(warm(machine), 200))
    quiet = Machine(machine.solo, machine.per_token, curve=machine.curve)
    steps = sorted(quiet.seconds(size) for size in sizes)
    assert steps[int(0.99 * len(steps))] <= 2 * machine.solo
    assert steps[len(steps) // 2] >= 1.5 * machine.solo, "and most of it is used"


def test_chunks_grow_no_further_than_the_last_ones_allow():
    """The first step of the decodes comes straight from a prompt and is slower than all others."""
    times, machine = PromptPace(2.0), Machine(solo=0.026, per_token=0.0027)
    times.add(0.037, 8, 0)
    sizes = machine.read(times, 20)
    assert max(machine.seconds(size) for size in sizes) < 2 * 0.037


def test_chunks_that_end_early_say_nothing_of_longer_ones():
    """Prompts of 3 tokens cost less than the first step alone; a long one still begins small."""
    times, machine = PromptPace(2.0), Machine(solo=0.026, per_token=0.0027)
    times.add(0.037, 8, 0)
    for _ in range(20):
        limit = times.chunk_limit(8, 0)
        assert limit <= 6
        tokens = min(3, limit)
        times.add(machine.seconds(tokens), 8, tokens)


def test_a_larger_limit_allows_larger_chunks():
    machine = Machine()
    small = warm(machine, max_decode_slowdown=1.5).chunk_limit(8, machine.depth)
    large = warm(machine, max_decode_slowdown=4.0).chunk_limit(8, machine.depth)
    assert large > 4 * small


def test_a_prompt_goes_on_even_where_no_token_fits():
    machine = Machine(solo=0.001, per_token=0.1)
    assert min(without_probes(machine.read(warm(machine), 100))) == 1


def test_what_short_prompts_cost_is_no_measure_behind_many_tokens():
    machine = Machine(per_token=0.002, deeper=2e-6)
    times = PromptPace(2.0)
    machine.decode(times, 5)
    assert max(machine.read(times, 20)) >= 8
    size = without_probes([times.chunk_limit(8, 16_000), times.chunk_limit(8, 16_000)])[0]
    assert machine.seconds(size, 16_000) <= 2 * machine.solo


def test_a_prompt_that_grows_is_not_begun_again():
    machine = Machine(per_token=0.001, deeper=1e-7)
    sizes = without_probes(machine.read(warm(machine), 200))
    assert min(sizes) >= 8


def test_sizes_at_most_double():
    machine = Machine(per_token=1e-6)
    times = PromptPace(2.0)
    machine.decode(times, 5)
    sizes = without_probes(machine.read(times, 12))
    assert sizes[0] == 1
    assert all(b <= 2 * a for a, b in pairwise(sizes))
    assert sizes[-1] >= 1024


def test_a_machine_that_slows_down_is_noticed_within_nine_steps():
    machine = Machine(per_token=0.0004)
    times = warm(machine)
    before = times.chunk_limit(8, machine.depth)
    machine.per_token *= 4
    machine.read(times, 9)
    assert times.chunk_limit(8, machine.depth) <= before // 3


def test_a_probe_that_was_not_run_is_not_asked_for_again():
    times = PromptPace(2.0)
    assert [times.chunk_limit(8, 0) for _ in range(3)] == [0, 1, 1]


def test_decodes_are_measured_alone_when_their_number_is_new_and_now_and_then():
    machine = Machine()
    times = PromptPace(2.0)
    sizes = machine.read(times, 200)
    assert sizes[0] == 0
    assert sizes.count(0) == 4
    machine.solo *= 3  # longer contexts, say
    machine.read(times, 200)
    sizes = without_probes(machine.read(times, 50))
    assert machine.seconds(sizes[-1]) >= 1.5 * machine.solo


def test_each_number_of_decodes_has_its_own_time():
    one, eight = Machine(solo=0.02), Machine(solo=0.1)
    times = PromptPace(2.0)
    one.decode(times, 5, decodes=1)
    eight.decode(times, 5, decodes=8)
    eight.read(times, 40)
    assert one.seconds(one.read(times, 1, decodes=1)[0]) <= 2 * one.solo


def test_a_prompt_is_slow_when_fewer_than_two_tokens_fit_for_each_decode():
    assert not PromptPace(2.0).is_slow(8)
    fits_many, fits_ten = warm(Machine(per_token=0.002)), warm(Machine(per_token=0.004))
    assert not fits_many.is_slow(8)
    assert fits_ten.is_slow(8)
    assert not fits_ten.is_slow(7), "steps of so many were never measured"


def test_beside_one_decode_a_prompt_is_slow_when_fewer_than_three_tokens_fit():
    for per_token, slow in ((0.010, False), (0.016, True)):
        machine, times = Machine(per_token=per_token), PromptPace(2.0)
        machine.decode(times, 5, decodes=1)
        machine.read(times, 10, decodes=1)
        assert times.is_slow(1) is slow


@pytest.mark.parametrize("held_up", range(6))
def test_one_slow_step_makes_no_prompt_slow(held_up):
    machine, times = Machine(per_token=0.001), PromptPace(2.0)
    machine.decode(times, 5)
    for slow in (float(step == held_up) for step in range(6)):
        size = times.chunk_limit(8, machine.depth)
        times.add(machine.seconds(size) + slow, 8, size)
        machine.depth += size
        assert not times.is_slow(8)


def test_a_slice_has_what_the_limit_leaves():
    times = warm(Machine(solo=0.050), max_decode_slowdown=2.0)
    assert times.seconds_beside(8) == pytest.approx((0.085, 0.035))


def test_a_limit_that_leaves_slices_next_to_nothing_has_none():
    for limit, slow in ((1.1, False), (1.4, False), (1.6, True)):
        assert warm(Machine(per_token=0.016), max_decode_slowdown=limit).is_slow(8) is slow
