"""Scheduling: decodes first, chunks under a budget, the youngest gives way; nobody starves."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pyllm.errors import RequestError
from pyllm.kv_cache import KVCache
from pyllm.sampling import SamplingParams
from pyllm.scheduler import Scheduler
from pyllm.sequence import Sequence


def sequence_of(num_tokens):
    return Sequence("r", SamplingParams(), 0, num_tokens, frozenset(), None, None, [1] * num_tokens)


def scheduler_of(num_blocks=64, block_size=4, max_num_seqs=4, budget=16, prefix_caching=False):
    cache = KVCache(num_blocks, block_size, prefix_caching=prefix_caching)
    return Scheduler(cache, max_num_seqs=max_num_seqs, max_num_batched_tokens=budget)


def step(scheduler):
    """One step with a model that always answers 2; returns (sequence, tokens computed) pairs."""
    scheduled = scheduler.schedule()
    counts = [(sequence, sequence.num_scheduled_tokens) for sequence in scheduled]
    for sequence, count in counts:
        sequence.num_computed_tokens += count
        if sequence.num_computed_tokens >= sequence.register_at:
            scheduler.kv_cache.register(sequence)
        if sequence.num_computed_tokens == len(sequence.tokens):
            sequence.tokens.append(2)
    return counts


def test_long_prompts_run_in_chunks_of_the_budget():
    scheduler = scheduler_of(budget=16)
    long = sequence_of(40)
    scheduler.add(long)
    assert [step(scheduler) for _ in range(4)] == [[(long, n)] for n in (16, 16, 8, 1)]


def test_decodes_come_first_and_prompts_take_the_rest_of_the_budget():
    scheduler = scheduler_of(budget=16)
    old, new = sequence_of(3), sequence_of(40)
    scheduler.add(old)
    step(scheduler)
    scheduler.add(new)
    assert step(scheduler) == [(old, 1), (new, 15)]
    assert step(scheduler) == [(old, 1), (new, 15)]
    assert step(scheduler) == [(old, 1), (new, 10)]
    assert step(scheduler) == [(old, 1), (new, 1)]


def test_first_come_first_served_up_to_max_num_seqs():
    scheduler = scheduler_of(max_num_seqs=2)
    sequences = [sequence_of(3) for _ in range(3)]
    for sequence in sequences:
        scheduler.add(sequence)
    assert [s for s, _ in step(scheduler)] == sequences[:2]
    scheduler.finish(sequences[0])
    assert [s for s, _ in step(scheduler)] == sequences[1:]


def test_a_prompt_waits_until_all_its_blocks_are_free():
    scheduler = scheduler_of(num_blocks=8)
    first, second = sequence_of(10), sequence_of(20)
    scheduler.add(first)
    scheduler.add(second)
    assert [s for s, _ in step(scheduler)] == [first]
    scheduler.finish(first)
    assert [s for s, _ in step(scheduler)] == [second]


def test_the_youngest_is_preempted_and_computed_again():
    scheduler = scheduler_of(num_blocks=5, block_size=4)
    old, young = sequence_of(8), sequence_of(4)
    scheduler.add(old)
    scheduler.add(young)
    step(scheduler)
    assert scheduler.running == [old, young]
    for _ in range(8):
        step(scheduler)
        scheduler.check()
        if young.num_preemptions:
            break
    assert scheduler.running == [old]
    assert list(scheduler.waiting) == [young]
    assert (young.num_computed_tokens, young.block_table) == (0, [])
    written = len(young.tokens)
    scheduler.finish(old)
    assert step(scheduler) == [(young, written)]
    assert len(young.tokens) == written + 1


def test_a_preempted_prefill_is_not_scheduled_in_that_step():
    scheduler = scheduler_of(num_blocks=10, block_size=4, max_num_seqs=2, budget=4)
    old, young = sequence_of(4), sequence_of(28)
    scheduler.add(old)
    scheduler.add(young)
    history = [step(scheduler) for _ in range(10)]
    assert history[-2] == [(old, 1), (young, 3)]
    assert history[-1] == [(old, 1)]
    assert young.num_preemptions == 1
    scheduler.check()


def test_finish_forgets_waiting_sequences_too():
    scheduler = scheduler_of()
    sequence = sequence_of(3)
    scheduler.add(sequence)
    scheduler.finish(sequence)
    assert not scheduler.has_unfinished()


def test_a_budget_that_decodes_alone_could_fill_is_refused():
    with pytest.raises(RequestError, match=r"max_num_batched_tokens: 3: .*max_num_seqs \(4\)"):
        scheduler_of(budget=3, max_num_seqs=4)


def test_a_prompt_waits_for_a_prefix_that_is_being_computed():
    scheduler = scheduler_of(budget=16, prefix_caching=True)
    first, second, third = sequence_of(30), sequence_of(30), sequence_of(30)
    for sequence in (first, second, third):
        scheduler.add(sequence)
    assert step(scheduler) == [(first, 16)]
    assert step(scheduler) == [(first, 14)]  # two tokens are left, but not for the next block
    assert step(scheduler) == [(first, 1), (second, 2), (third, 2)]
    scheduler.check()


def test_a_cached_prefix_needs_no_free_blocks():
    scheduler = scheduler_of(num_blocks=9, budget=32, prefix_caching=True)
    first, second = sequence_of(24), sequence_of(25)
    scheduler.add(first)
    step(scheduler)
    scheduler.add(second)
    assert step(scheduler) == [(first, 1), (second, 1)]


def test_a_preempted_sequence_finds_what_is_left_of_its_blocks():
    scheduler = scheduler_of(num_blocks=6, block_size=4, prefix_caching=True)
    old, young = sequence_of(8), sequence_of(9)
    old.tokens[0] = 7
    scheduler.add(old)
    scheduler.add(young)
    while not young.num_preemptions:
        step(scheduler)
        scheduler.check()
    scheduler.finish(old)
    ((_, computed),) = step(scheduler)
    assert computed < 9


class AnyInterleaving(RuleBasedStateMachine):
    """Add, abort and step in any order: the invariants hold, and the oldest always advances."""

    prefix_caching = False

    def __init__(self):
        super().__init__()
        self.scheduler = scheduler_of(
            num_blocks=12, max_num_seqs=4, budget=6, prefix_caching=self.prefix_caching
        )
        self.targets = {}  # sequence -> length at which it ends
        self.arrivals = []

    @rule(prompt=st.integers(1, 40), output=st.integers(1, 30))
    def add(self, prompt, output):
        sequence = sequence_of(prompt)
        self.targets[sequence] = min(prompt + output, self.scheduler.kv_cache.capacity)
        self.arrivals.append(sequence)
        self.scheduler.add(sequence)

    @precondition(lambda self: self.arrivals)
    @rule(data=st.data())
    def abort(self, data):
        self._end(data.draw(st.sampled_from(self.arrivals)))

    @precondition(lambda self: self.arrivals)
    @rule()
    def step(self):
        oldest = self.arrivals[0]
        before = oldest.num_computed_tokens
        counts = step(self.scheduler)
        assert sum(count for _, count in counts) <= self.scheduler.max_num_batched_tokens
        assert len(counts) <= self.scheduler.max_num_seqs
        assert all(count >= 1 for _, count in counts)
        assert len({id(sequence) for sequence, _ in counts}) == len(counts)
        assert oldest.num_computed_tokens > before
        assert oldest.num_preemptions == 0 or oldest in self.scheduler.running
        for sequence, _ in counts:
            assert sequence.num_computed_tokens <= len(sequence.block_table) * 4
            if len(sequence.tokens) >= self.targets[sequence]:
                self._end(sequence)

    def _end(self, sequence):
        self.scheduler.finish(sequence)
        self.arrivals.remove(sequence)

    @invariant()
    def nothing_is_lost(self):
        self.scheduler.check()
        in_order = [*self.scheduler.running, *self.scheduler.waiting]
        assert in_order == self.arrivals, "the running are older than the waiting, all in order"

    def teardown(self):
        for _ in range(10_000):
            if not self.arrivals:
                break
            self.step()
        assert not self.scheduler.has_unfinished(), "every sequence ends"
        assert self.scheduler.kv_cache.num_free_blocks == 12


class AnyInterleavingCached(AnyInterleaving):
    """All prompts begin alike."""

    prefix_caching = True


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyInterleavingCached = AnyInterleavingCached.TestCase
TestAnyInterleavingCached.settings = TestAnyInterleaving.settings
