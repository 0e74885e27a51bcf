"""Block ownership: nothing leaks, nothing is shared, refusals change nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.engine.sequence import Sequence
from pyllm.errors import RequestError
from pyllm.kv.cache import RELEASED, KVCache
from pyllm.sampling.params import SamplingParams


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


# ---- prefixes --------------------------------------------------------------------------------


def prompt(tokens, *, salt=None, **params):
    return Sequence(
        "r", SamplingParams(**params), 0, len(tokens), frozenset(), None, None, list(tokens),
        cache_salt=salt,
    )  # fmt: skip


def compute(cache, sequence, num_tokens=None):
    """Admit a sequence and compute its first `num_tokens` tokens, all by default."""
    cache.attach(sequence, cache.lookup(sequence))
    num_tokens = num_tokens or len(sequence.tokens)
    assert cache.grow(sequence, len(sequence.tokens))
    advance(cache, sequence, num_tokens)
    return sequence


def advance(cache, sequence, num_tokens):
    sequence.num_computed_tokens = num_tokens
    if num_tokens >= sequence.settle_at:
        cache.settle(sequence)


def num_cached(cache, tokens, **params):
    return len(cache.lookup(prompt(tokens, **params))) * cache.block_size


def test_a_running_sequence_shares_its_full_blocks():
    cache = KVCache(num_blocks=8, block_size=4)
    one = compute(cache, prompt(range(10)))
    two = compute(cache, prompt([*range(9), 99]))
    assert two.block_table[:2] == one.block_table[:2]
    assert two.block_table[2] != one.block_table[2]
    assert (one.num_cached_tokens, two.num_cached_tokens) == (0, 8)
    assert (cache.counters.num_prompt_tokens, cache.counters.num_cached_tokens) == (20, 8)
    assert cache.num_free_blocks == 8 - 4
    cache.check([one, two])
    cache.release(one)
    cache.check([one, two])
    assert cache.num_free_blocks == 8 - 3


def test_blocks_stay_cached_after_their_sequence_and_count_as_free():
    cache = KVCache(num_blocks=4, block_size=4)
    one = compute(cache, prompt(range(12)))
    cache.release(one)
    assert cache.num_free_blocks == 4
    assert cache.num_cached_blocks == 3
    assert num_cached(cache, range(13)) == 12
    assert num_cached(cache, [*range(7), 99, 100]) == 4
    assert num_cached(cache, [99, *range(12)]) == 0


def test_the_last_token_is_always_computed():
    cache = KVCache(num_blocks=4, block_size=4)
    compute(cache, prompt(range(8)))
    assert num_cached(cache, range(8)) == 4
    assert num_cached(cache, range(9)) == 8


def test_only_what_is_computed_is_cached():
    cache = KVCache(num_blocks=4, block_size=4)
    sequence = compute(cache, prompt(range(12)), num_tokens=6)
    assert num_cached(cache, range(12)) == 4
    advance(cache, sequence, 11)
    assert num_cached(cache, range(13)) == 8


def test_tokens_that_are_only_guessed_are_not_cached():
    cache = KVCache(num_blocks=4, block_size=4)
    sequence = compute(cache, prompt(range(3)))
    cache.grow(sequence, 8)
    advance(cache, sequence, 6)  # three of them are guesses
    assert cache.num_cached_blocks == 0
    sequence.tokens += [3, 4]
    advance(cache, sequence, 4)
    assert num_cached(cache, range(5)) == 4


def test_what_a_sequence_wrote_is_cached_too():
    cache = KVCache(num_blocks=4, block_size=4)
    sequence = compute(cache, prompt(range(3)))
    sequence.tokens += [70, 71, 72]
    cache.grow(sequence, 6)
    advance(cache, sequence, 5)
    assert num_cached(cache, [0, 1, 2, 70, 5]) == 4


def test_the_least_recently_used_is_evicted_and_its_chain_from_the_end():
    cache = KVCache(num_blocks=6, block_size=4)
    for first in (0, 100):
        cache.release(compute(cache, prompt(range(first, first + 12))))
    cache.release(compute(cache, prompt(range(9))))  # uses the first two of the older chain
    other = prompt(range(200, 208))
    assert cache.grow(other, 4)
    assert num_cached(cache, range(13)) == 8
    assert num_cached(cache, range(100, 113)) == 12
    assert cache.grow(other, 8)
    assert num_cached(cache, range(100, 113)) == 8
    cache.check([other])


def test_blocks_in_use_are_never_evicted():
    cache = KVCache(num_blocks=4, block_size=4)
    one = compute(cache, prompt(range(12)))
    two = prompt(range(50, 58))
    assert not cache.grow(two, 8)
    assert cache.grow(two, 4)
    cache.check([one, two])


def test_two_that_computed_the_same_keep_one_copy():
    cache = KVCache(num_blocks=8, block_size=4)
    one, two = prompt(range(9)), prompt(range(9))
    for sequence in (one, two):
        cache.attach(sequence, cache.lookup(sequence))
        cache.grow(sequence, 9)
    table = two.block_table
    for sequence in (one, two):
        advance(cache, sequence, 9)
    assert two.block_table[:2] == one.block_table[:2]
    assert two.block_table is not table
    assert cache.num_free_blocks == 8 - 4
    cache.check([one, two])


def test_other_salts_share_nothing():
    cache = KVCache(num_blocks=8, block_size=4)
    cache.release(compute(cache, prompt(range(9), salt="mine")))
    assert num_cached(cache, range(9), salt="mine") == 8
    assert num_cached(cache, range(9)) == 0
    assert num_cached(cache, range(9), salt="yours") == 0


def test_a_salt_cannot_be_continued_in_tokens():
    """The bytes of token 97 are those of "a\\0\\0\\0"."""
    cache = KVCache(num_blocks=8, block_size=2)
    compute(cache, prompt([97, 1, 2], salt="b"))
    assert num_cached(cache, [1, 2, 3], salt="ba\0\0\0") == 0


def test_prompt_logprobs_need_every_token_computed():
    cache = KVCache(num_blocks=8, block_size=4)
    compute(cache, prompt(range(9)))
    waiting = prompt(range(9))
    waiting.next_scored = 1
    assert cache.lookup(waiting) == []
    cache.announce(prompt(range(9)))
    assert not cache.is_underway(waiting, [])


def test_without_prefix_caching_nothing_is_found():
    cache = KVCache(num_blocks=8, block_size=4, prefix_caching=False)
    cache.release(compute(cache, prompt(range(9))))
    assert num_cached(cache, range(9)) == 0
    assert cache.num_cached_blocks == 0


def test_the_next_block_is_underway_while_this_step_computes_it():
    cache = KVCache(num_blocks=8, block_size=4)
    one = compute(cache, prompt(range(20)), num_tokens=5)
    cache.begin_step()
    cache.announce(one)
    for tokens, expected in [
        (range(20), True),
        (range(9), True),
        (range(8), False),  # its second block holds the last token: it computes that itself
        ([*range(6), 99, 98, 97], False),
        ([99, *range(20)], False),
    ]:
        waiting = prompt(tokens)
        assert cache.is_underway(waiting, cache.lookup(waiting)) is expected
    cache.begin_step()
    assert not cache.is_underway(prompt(range(20)), cache.lookup(prompt(range(20))))


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


@given(
    num_blocks=st.integers(1, 10),
    block_size=st.sampled_from([1, 3, 16]),
    prompts=st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=20), min_size=4, max_size=4),
    actions=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=60),
)
def test_a_table_always_leads_to_what_its_tokens_computed(num_blocks, block_size, prompts, actions):
    """Action (sequence, n): compute up to n tokens, admitted first if need be; 0: release."""
    cache = KVCache(num_blocks, block_size)
    sequences = [prompt(tokens) for tokens in prompts]
    computed = {}  # (block, place in it) -> all tokens up to that place
    for index, n in actions:
        sequence = sequences[index]
        n = min(n, len(sequence.tokens))
        if n == 0:
            cache.release(sequence)
        elif not sequence.block_table:
            found = cache.lookup(sequence)
            if cache.num_missing_blocks(len(sequence.tokens), found, 20) > cache.num_free_blocks:
                continue
            cache.attach(sequence, found)
            assert cache.grow(sequence, len(sequence.tokens))
        for position in range(sequence.num_computed_tokens, n):
            place = sequence.block_table[position // block_size], position % block_size
            computed[place] = sequence.tokens[: position + 1]
        advance(cache, sequence, max(n, sequence.num_computed_tokens))
        cache.check(sequences)
        for owner in sequences:
            for position in range(owner.num_computed_tokens):
                place = owner.block_table[position // block_size], position % block_size
                assert computed[place] == owner.tokens[: position + 1]


# ---- windows ---------------------------------------------------------------------------------


def windowed(num_blocks=8, block_size=4, window=8, **options):
    return KVCache(num_blocks, block_size, window=window, **options)


@pytest.mark.parametrize("prefix_caching", [True, False])
def test_blocks_behind_the_window_are_given_back(prefix_caching):
    cache = windowed(prefix_caching=prefix_caching)
    sequence = compute(cache, prompt(range(20)), num_tokens=15)
    table = sequence.block_table
    assert (sequence.num_released_blocks, cache.num_free_blocks) == (2, 8 - 3)
    assert table[:2] == [RELEASED] * 2
    assert len(table) == 5
    advance(cache, sequence, 19)
    assert (sequence.num_released_blocks, cache.num_free_blocks) == (3, 8 - 2)
    assert sequence.block_table is not table  # readers compare identities
    cache.check([sequence])
    cache.release(sequence)
    cache.check([sequence])
    assert cache.num_free_blocks == 8


def test_a_long_text_needs_the_blocks_of_its_window_only():
    cache = windowed(num_blocks=4)
    sequence = prompt(range(100))
    cache.attach(sequence, cache.lookup(sequence))
    for length in range(1, 101):
        assert cache.grow(sequence, length)
        advance(cache, sequence, length)
        cache.check([sequence])
    with pytest.raises(RequestError, match=r"max_model_len.*holds 16 tokens"):
        cache.require_room_for(100, chunk=6)
    cache.require_room_for(100, chunk=5)
    cache.require_room_for(16, chunk=16)


def test_others_use_what_was_given_back():
    cache = windowed(num_blocks=5)
    one = compute(cache, prompt(range(20)), num_tokens=19)
    two = prompt(range(50, 58))
    assert cache.grow(two, 8)
    assert not set(two.block_table) & set(one.block_table)
    cache.check([one, two])


def test_what_was_only_guessed_moves_no_window():
    cache = windowed(num_blocks=8)
    sequence = compute(cache, prompt(range(11)))
    sequence.tokens.append(11)
    cache.grow(sequence, 20)
    sequence.num_draft_tokens = 8
    advance(cache, sequence, 20)  # eight of them are guesses; token 12 is computed next
    assert sequence.num_released_blocks == 1
    cache.check([sequence])


def test_a_prefix_is_used_when_its_last_window_is_there():
    cache = windowed(num_blocks=8)
    cache.release(compute(cache, prompt(range(24))))
    assert num_cached(cache, range(25)) == 24
    other = prompt(range(100, 116))
    assert cache.grow(other, 16)  # two free blocks, and two of those behind the window
    assert num_cached(cache, range(25)) == 24
    two = prompt(range(25))
    cache.attach(two, cache.lookup(two))
    assert two.block_table[:4] == [RELEASED] * 4
    assert (two.num_computed_tokens, two.num_released_blocks) == (24, 4)
    assert cache.grow(two, 25)
    cache.check([other, two])


def test_a_prefix_with_a_gap_in_its_last_window_ends_before_the_gap():
    cache = windowed(num_blocks=8)
    one = compute(cache, prompt(range(24)))
    other = prompt(range(100, 116))
    assert cache.grow(other, 16)  # blocks 3 and 2 of the chain go: the last that were left
    assert num_cached(cache, range(25)) == 24
    assert num_cached(cache, range(20)) == 8  # it would need block 2
    assert num_cached(cache, [*range(8), 99]) == 8
    cache.check([one, other])


def test_gaps_are_filled_by_whoever_computes_them_again():
    cache = windowed(num_blocks=12)
    one = compute(cache, prompt(range(24)))
    other = prompt(range(100, 132))
    assert cache.grow(other, 32)
    cache.release(other)
    two = prompt(range(20))
    cache.attach(two, cache.lookup(two))
    assert two.num_computed_tokens < 16
    num_nodes = len(list(cache._prefixes))
    for length in range(two.num_computed_tokens + 1, 21):
        assert cache.grow(two, length)
        advance(cache, two, length)
    assert len(list(cache._prefixes)) == num_nodes
    assert two.block_table[4] == one.block_table[4]  # the same tokens: one copy is enough


@given(
    num_blocks=st.integers(4, 12),
    block_size=st.sampled_from([1, 3, 16]),
    window=st.integers(1, 20),
    prefix_caching=st.booleans(),
    prompts=st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=60), min_size=4, max_size=4),
    actions=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=60),
)
def test_what_a_token_sees_is_always_there(
    num_blocks, block_size, window, prefix_caching, prompts, actions
):
    """Action (sequence, n): compute n tokens more, admitted first if need be; 0: release."""
    cache = KVCache(num_blocks, block_size, window=window, prefix_caching=prefix_caching)
    sequences = [prompt(tokens) for tokens in prompts]
    computed = {}  # (block, place in it) -> all tokens up to that place
    for index, n in actions:
        sequence = sequences[index]
        if n == 0:
            cache.release(sequence)
            continue
        if not sequence.block_table:
            found = cache.lookup(sequence)
            if cache.num_missing_blocks(len(found) * block_size, found, n) > cache.num_free_blocks:
                continue
            cache.attach(sequence, found)
        end = min(sequence.num_computed_tokens + n, len(sequence.tokens))
        if not cache.grow(sequence, end):
            continue
        for position in range(sequence.num_computed_tokens, end):
            place = sequence.block_table[position // block_size], position % block_size
            computed[place] = sequence.tokens[: position + 1]
        advance(cache, sequence, end)
        cache.check(sequences)
        for owner in sequences:
            known = owner.num_computed_tokens
            for position in range(max(0, min(known, len(owner.tokens) - 1) + 1 - window), known):
                place = owner.block_table[position // block_size], position % block_size
                assert computed[place] == owner.tokens[: position + 1]
    for sequence in sequences:
        cache.release(sequence)
    cache.check(sequences)
    assert cache.num_free_blocks == num_blocks
