"""Block ownership: nothing leaks, nothing is shared, refusals change nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.kv_cache import KVCache
from pyllm.sampling import SamplingParams
from pyllm.sequence import Sequence


def sequence_of(num_tokens):
    return Sequence("r", SamplingParams(), 0, num_tokens, frozenset(), None, None, [1] * num_tokens)


def test_grow_gives_just_enough_blocks():
    cache = KVCache(num_blocks=8, block_size=16)
    sequence = sequence_of(33)
    assert cache.grow(sequence, 33)
    assert len(sequence.block_table) == 3
    assert cache.grow(sequence, 17)
    assert len(sequence.block_table) == 3
    assert cache.num_free_blocks == 5


def test_refusal_changes_nothing():
    cache = KVCache(num_blocks=2, block_size=16)
    sequence = sequence_of(33)
    assert not cache.grow(sequence, 33)
    assert sequence.block_table == []
    assert cache.num_free_blocks == 2


def test_release_forgets_what_was_computed_and_replaces_the_table():
    cache = KVCache(num_blocks=2, block_size=16)
    sequence = sequence_of(20)
    cache.grow(sequence, 20)
    sequence.num_computed_tokens = 20
    table = sequence.block_table
    cache.release(sequence)
    assert sequence.num_computed_tokens == 0
    assert sequence.block_table == []
    assert sequence.block_table is not table
    assert cache.num_free_blocks == 2


def test_check_finds_a_shared_block():
    cache = KVCache(num_blocks=4, block_size=16)
    one, two = sequence_of(16), sequence_of(16)
    cache.grow(one, 16)
    two.block_table = list(one.block_table)
    with pytest.raises(AssertionError, match="leaked or split"):
        cache.check([one, two])


@pytest.mark.parametrize(("num_blocks", "block_size"), [(0, 16), (4, 0)])
def test_sizes_must_be_positive(num_blocks, block_size):
    with pytest.raises(ValueError, match="positive"):
        KVCache(num_blocks, block_size)


@given(
    num_blocks=st.integers(1, 12),
    block_size=st.sampled_from([1, 3, 16]),
    actions=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=40),
)
def test_any_history_keeps_the_invariant(num_blocks, block_size, actions):
    """Action (sequence, n): grow to n tokens, or release when n is 0."""
    cache = KVCache(num_blocks, block_size)
    sequences = [sequence_of(60) for _ in range(4)]
    for index, num_tokens in actions:
        sequence = sequences[index]
        if num_tokens == 0:
            cache.release(sequence)
        else:
            free, had = cache.num_free_blocks, len(sequence.block_table)
            fits = cache.blocks_for(num_tokens) - had <= free
            assert cache.grow(sequence, num_tokens) is fits
        cache.check(sequences)
