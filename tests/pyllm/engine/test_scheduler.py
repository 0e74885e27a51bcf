"""Scheduling: decodes first, chunks under a budget, the last in rank gives way; all end."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pyllm.engine.scheduler import Scheduler
from pyllm.engine.sequence import NOTHING_TO_SCORE, Sequence
from pyllm.errors import RequestError
from pyllm.kv.cache import KVCache
from pyllm.sampling.params import SamplingParams


def sequence_of(num_tokens, priority=0):
    tokens = [1] * num_tokens
    return Sequence("r", SamplingParams(), 0, num_tokens, frozenset(), None, None, tokens, priority)


def scheduler_of(
    num_blocks=64,
    block_size=4,
    max_num_seqs=4,
    budget=16,
    chunk_limit=None,
    prefix_caching=False,
    max_num_scored_tokens=0,
    window=0,
):
    return Scheduler(
        KVCache(num_blocks, block_size, window=window, prefix_caching=prefix_caching),
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=budget,
        chunk_limit=chunk_limit,
        max_num_scored_tokens=max_num_scored_tokens,
    )


def step(scheduler):
    """One step with a model that always answers 2; returns (sequence, tokens computed) pairs."""
    scheduled = scheduler.schedule()
    counts = [(sequence, sequence.num_scheduled_tokens) for sequence in scheduled]
    for sequence, count in counts:
        sequence.num_computed_tokens += count
        if sequence.num_computed_tokens >= sequence.settle_at:
            scheduler.kv_cache.settle(sequence)
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


def test_prompts_that_are_scored_share_the_rows_for_it_by_rank():
    scheduler = scheduler_of(budget=16, max_num_scored_tokens=5)
    first, second, plain = sequence_of(8), sequence_of(6), sequence_of(7)
    for sequence in (first, second):
        sequence.next_scored = 1
    for sequence in (first, second, plain):
        scheduler.add(sequence)
    assert step(scheduler) == [(first, 5)]  # the next one waits, and so do all behind it
    assert step(scheduler) == [(first, 3), (second, 2), (plain, 7)]
    first.next_scored = NOTHING_TO_SCORE
    assert step(scheduler) == [(first, 1), (plain, 1), (second, 4)]


def test_a_scored_prompt_without_rows_gives_way_to_the_others_that_run():
    scheduler = scheduler_of(budget=16, max_num_scored_tokens=3)
    first, second, plain = (sequence_of(9) for _ in range(3))
    for sequence in (first, second, plain):
        scheduler.add(sequence)
        sequence.next_scored = 1 if sequence is not plain else NOTHING_TO_SCORE
    for _ in range(3):
        scheduler._admit([])
    assert step(scheduler) == [(first, 3), (plain, 9)]
    assert second.num_scheduled_tokens == 0


def test_nobody_waits_for_a_block_that_is_read_as_slowly_as_a_prompt_is_scored():
    scheduler = scheduler_of(budget=64, prefix_caching=True, max_num_scored_tokens=3)
    scored, plain = sequence_of(40), sequence_of(40)
    scored.next_scored = 1
    scheduler.add(scored)
    scheduler.add(plain)
    assert step(scheduler) == [(scored, 3), (plain, 40)]


def test_first_come_first_served_up_to_max_num_seqs():
    scheduler = scheduler_of(max_num_seqs=2)
    sequences = [sequence_of(3) for _ in range(3)]
    for sequence in sequences:
        scheduler.add(sequence)
    assert [s for s, _ in step(scheduler)] == sequences[:2]
    scheduler.finish(sequences[0])
    assert [s for s, _ in step(scheduler)] == sequences[1:]


def test_a_prompt_waits_until_its_first_chunk_fits_beside_a_block_for_each_that_runs():
    scheduler = scheduler_of(num_blocks=7)
    first, second = sequence_of(10), sequence_of(20)
    scheduler.add(first)
    scheduler.add(second)
    assert step(scheduler) == [
        (first, 10)
    ]  # 3 blocks; 4 for a chunk of 16 and 1 spare are not left
    scheduler.finish(first)
    assert step(scheduler) == [(second, 16)]


def test_only_what_a_window_keeps_counts():
    """Two texts of 100 tokens, a window of 8: 5 blocks each while a prompt is read, then 3."""
    scheduler = scheduler_of(num_blocks=8, budget=8, window=8)
    old, new = sequence_of(100), sequence_of(100)
    scheduler.add(old)
    while old.num_pending_tokens > 1:
        step(scheduler)
    assert scheduler.kv_cache.num_free_blocks >= 5
    scheduler.add(new)
    for _ in range(60):
        assert len(step(scheduler)) == 2
        scheduler.check()
    assert new.num_pending_tokens == 1
    assert (old.num_preemptions, new.num_preemptions) == (0, 0)


def test_one_that_was_preempted_starts_again_when_its_window_fits():
    """5 free blocks of 4 tokens, for a text of 100: 2 for a window of 8, 3 for chunks of 8."""
    scheduler = scheduler_of(num_blocks=8, budget=8, window=8)
    long, holder = sequence_of(100), sequence_of(12)
    scheduler.add(long)
    for _ in range(5):
        step(scheduler)
    scheduler._preempt_last()
    assert scheduler.kv_cache.grow(holder, 12)
    assert step(scheduler) == [(long, 8)]


def test_a_prompt_starts_before_there_is_room_for_all_of_it():
    scheduler = scheduler_of(num_blocks=10)
    first, long = sequence_of(10), sequence_of(36)
    scheduler.add(first)
    scheduler.add(long)
    assert step(scheduler) == [(first, 10), (long, 6)]
    assert step(scheduler) == [(first, 1), (long, 15)]
    assert step(scheduler) == [(first, 1), (long, 3)]  # one block stays free for the first
    assert step(scheduler) == [(first, 1)]
    assert long in scheduler.running
    scheduler.finish(first)
    assert step(scheduler) == [(long, 12)]


def test_nobody_overtakes_a_prompt_that_lacks_blocks():
    scheduler = scheduler_of(num_blocks=10)
    first, long, short = sequence_of(10), sequence_of(36), sequence_of(1)
    for sequence in (first, long, short):
        scheduler.add(sequence)
    for _ in range(5):
        step(scheduler)
    assert scheduler.waiting == [short]


def test_a_preempted_prompt_starts_again_when_all_of_it_fits():
    scheduler = scheduler_of(num_blocks=10)
    first, long = sequence_of(10), sequence_of(36)
    scheduler.add(first)
    scheduler.add(long)
    for _ in range(12):
        step(scheduler)
    assert (long.num_preemptions, scheduler.waiting) == (1, [long])
    assert scheduler.kv_cache.num_free_blocks >= 4  # enough for a chunk
    scheduler.finish(first)
    assert step(scheduler) == [(long, 16)]


def test_lower_priority_values_go_first_and_equals_by_arrival():
    scheduler = scheduler_of(max_num_seqs=1)
    late, early, urgent = sequence_of(3, 1), sequence_of(3, 1), sequence_of(3, -1)
    for sequence in (early, late, urgent):
        scheduler.add(sequence)
    order = []
    for _ in range(3):
        ((sequence, _),) = step(scheduler)
        order.append(sequence)
        scheduler.finish(sequence)
    assert order == [urgent, early, late]


def test_an_urgent_request_takes_the_place_of_the_last_in_rank():
    scheduler = scheduler_of(max_num_seqs=2)
    first, second, urgent = sequence_of(3), sequence_of(3), sequence_of(3, -1)
    scheduler.add(first)
    scheduler.add(second)
    step(scheduler)
    scheduler.add(urgent)
    assert step(scheduler) == [(first, 1), (urgent, 3)]
    assert scheduler.waiting == [second]
    scheduler.check()


def test_an_urgent_request_takes_blocks_and_its_prompt_is_read_first():
    scheduler = scheduler_of(num_blocks=8)
    long, urgent = sequence_of(31), sequence_of(20, -1)
    scheduler.add(long)
    step(scheduler)
    scheduler.add(urgent)
    assert step(scheduler) == [(urgent, 16)]
    assert scheduler.waiting == [long]


def test_equal_priority_never_takes_a_place():
    scheduler = scheduler_of(max_num_seqs=1)
    first, second = sequence_of(3), sequence_of(3)
    scheduler.add(first)
    step(scheduler)
    scheduler.add(second)
    assert step(scheduler) == [(first, 1)]


def test_the_chunk_limit_counts_the_prompt_tokens_beside_decodes():
    asked = []

    def chunk_limit(num_decodes, watched, depth):
        asked.append((num_decodes, watched))
        return 5 if num_decodes else 100

    scheduler = scheduler_of(budget=16, chunk_limit=chunk_limit)
    old, new, newer = sequence_of(3), sequence_of(12), sequence_of(4)
    scheduler.add(old)
    step(scheduler)
    step(scheduler)
    scheduler.add(new)
    scheduler.add(newer)
    assert step(scheduler) == [(old, 1), (new, 5)]
    assert step(scheduler) == [(old, 1), (new, 5)]
    assert step(scheduler) == [(old, 1), (new, 2), (newer, 3)]
    assert asked == [(0, False), (1, True), (1, True), (1, True)]


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
    assert scheduler.waiting == [young]
    assert (young.num_computed_tokens, young.block_table) == (0, [])
    written = len(young.tokens)
    scheduler.finish(old)
    assert step(scheduler) == [(young, written)]
    assert len(young.tokens) == written + 1


def test_a_preempted_prefill_is_not_scheduled_in_that_step():
    scheduler = scheduler_of(num_blocks=10, block_size=4, max_num_seqs=2, budget=4)
    old, young = sequence_of(4), sequence_of(36)
    scheduler.add(old)
    scheduler.add(young)
    while not young.num_preemptions:
        assert young.num_computed_tokens <= 32
        counts = step(scheduler)
        scheduler.check()
    assert counts == [(old, 1)]


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


def test_a_limit_of_0_gives_a_step_of_decodes_alone():
    limits = [100, 0, 7]
    scheduler = scheduler_of(chunk_limit=lambda *_: limits.pop(0))
    old, new = sequence_of(3), sequence_of(12)
    scheduler.add(old)
    step(scheduler)
    scheduler.add(new)
    assert [step(scheduler) for _ in range(2)] == [[(old, 1)], [(old, 1), (new, 7)]]


def test_a_limit_of_0_gives_way_when_no_decode_finds_a_block():
    limits = [100, 5, 1, 1, 1, 0, 7]
    scheduler = scheduler_of(num_blocks=8, chunk_limit=lambda *_: limits.pop(0))
    late, first = sequence_of(4), sequence_of(28, -1)
    scheduler.add(late)
    step(scheduler)
    scheduler.add(first)
    step(scheduler)
    scheduler.kv_cache.grow(sequence_of(1), 4 * scheduler.kv_cache.num_free_blocks)
    for _ in range(3):
        assert step(scheduler) == [(late, 1), (first, 1)]
    assert step(scheduler) == [(first, 7)]
    assert (limits, scheduler.waiting) == ([], [late])


class AnyInterleaving(RuleBasedStateMachine):
    """Add, abort and step in any order: the invariants hold, and the first in rank advances."""

    prefix_caching = False
    window, num_blocks, max_model_len = 0, 12, 48

    def __init__(self):
        super().__init__()
        self.limit = 100
        self.scheduler = scheduler_of(
            num_blocks=self.num_blocks,
            window=self.window,
            max_num_seqs=4,
            budget=6,
            chunk_limit=lambda *_: self.limit,
            prefix_caching=self.prefix_caching,
        )
        self.targets = {}  # sequence -> length at which it ends

    @property
    def by_rank(self):
        return sorted(self.targets, key=lambda sequence: sequence.rank)

    @rule(prompt=st.integers(1, 40), output=st.integers(1, 30), priority=st.integers(-1, 1))
    def add(self, prompt, output, priority):
        sequence = sequence_of(prompt, priority)
        self.targets[sequence] = min(prompt + output, self.max_model_len)
        self.scheduler.add(sequence)

    @precondition(lambda self: self.targets)
    @rule(data=st.data())
    def abort(self, data):
        self._end(data.draw(st.sampled_from(self.by_rank)))

    @precondition(lambda self: self.targets)
    @rule()
    def schedule_a_step_that_is_interrupted(self):
        self.scheduler.schedule()

    @precondition(lambda self: self.targets)
    @rule(limit=st.sampled_from([1, 2, 3, 100]))
    def step(self, limit):
        self.limit = limit
        first = self.by_rank[0]
        before = first.num_computed_tokens
        counts = step(self.scheduler)
        assert sum(count for _, count in counts) <= self.scheduler.max_num_batched_tokens
        assert len(counts) <= self.scheduler.max_num_seqs
        assert all(count >= 1 for _, count in counts)
        assert len({id(sequence) for sequence, _ in counts}) == len(counts)
        assert first.num_computed_tokens > before
        in_order = [*self.scheduler.running, *self.scheduler.waiting]
        assert in_order == self.by_rank, "all who run rank before all who wait"
        for sequence, _ in counts:
            assert sequence.num_computed_tokens <= len(sequence.block_table) * 4
            if len(sequence.tokens) >= self.targets[sequence]:
                self._end(sequence)

    def _end(self, sequence):
        self.scheduler.finish(sequence)
        del self.targets[sequence]

    @invariant()
    def nothing_is_lost(self):
        self.scheduler.check()
        assert {*self.scheduler.running, *self.scheduler.waiting} == set(self.targets)

    def teardown(self):
        for _ in range(10_000):
            if not self.targets:
                break
            self.step(limit=1)
        assert not self.scheduler.has_unfinished(), "every sequence ends"
        assert self.scheduler.kv_cache.num_free_blocks == self.num_blocks


class AnyInterleavingCached(AnyInterleaving):
    """All prompts begin alike."""

    prefix_caching = True


class AnyInterleavingWindowed(AnyInterleaving):
    """Texts of up to 70 tokens, of which a window of 9 is kept, in 28 places."""

    window, num_blocks, max_model_len = 9, 7, 70


class AnyInterleavingWindowedCached(AnyInterleavingWindowed):
    prefix_caching = True


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyInterleavingCached = AnyInterleavingCached.TestCase
TestAnyInterleavingCached.settings = TestAnyInterleaving.settings
TestAnyInterleavingWindowed = AnyInterleavingWindowed.TestCase
TestAnyInterleavingWindowed.settings = TestAnyInterleaving.settings
TestAnyInterleavingWindowedCached = AnyInterleavingWindowedCached.TestCase
TestAnyInterleavingWindowedCached.settings = TestAnyInterleaving.settings
