"""The tree of blocks: found by tokens alone, kept while used, forgotten leaf by leaf."""

import pytest

from pyllm.kv.prefix_cache import PrefixCache


def chain_of(cache, *keys):
    """Insert a chain of blocks numbered from 10 on; the inserter uses them."""
    node, chain = cache.root, []
    for key in keys:
        node = node.children.get(key) or cache.insert(node, key, 10 + len(list(cache)))
        chain.append(node)
    return chain


def test_match_follows_the_keys_as_far_as_they_are_cached():
    cache = PrefixCache()
    chain = chain_of(cache, b"a", b"b", b"c")
    assert cache.match([b"a", b"b", b"x", b"c"], 4) == chain[:2]
    assert cache.match([b"a", b"b", b"c"], 2) == chain[:2]
    assert cache.match([b"b"], 1) == []
    assert chain[-1].path() == chain


def test_equal_hashes_are_not_equal_tokens():
    class SameHash(bytes):
        def __hash__(self):
            return 7

    cache = PrefixCache()
    one = cache.insert(cache.root, SameHash(b"one"), 1)
    two = cache.insert(cache.root, SameHash(b"two"), 2)
    assert cache.match([SameHash(b"one")], 1) == [one]
    assert cache.match([SameHash(b"two")], 1) == [two]
    assert cache.match([SameHash(b"six")], 1) == []


def test_a_block_in_use_is_not_evicted():
    cache = PrefixCache()
    chain = chain_of(cache, b"a", b"b")
    cache.use(chain[:1])
    cache.let_go(chain)
    assert cache.num_idle == 1
    assert cache.evict() == chain[1].block
    with pytest.raises(KeyError, match="in use"):
        cache.evict()
    cache.check()


def test_eviction_takes_the_least_recently_used_leaf_first():
    cache = PrefixCache()
    old, new = chain_of(cache, b"a", b"b"), chain_of(cache, b"c")
    cache.let_go(old)
    cache.let_go(new)
    cache.use(old[:1])
    cache.let_go(old[:1])
    assert [cache.evict() for _ in range(3)] == [old[1].block, new[0].block, old[0].block]
    assert list(cache) == []
    cache.check()


# ---- windows ---------------------------------------------------------------------------------


def test_what_a_window_passed_is_evicted_first_and_from_its_end():
    cache = PrefixCache(windowed=True)
    old, chain = chain_of(cache, b"x"), chain_of(cache, b"a", b"b", b"c", b"d")
    numbers = [block.block for block in chain]
    cache.let_go(old)
    cache.leave(chain[:1])
    cache.leave(chain[1:3])
    assert [cache.evict() for _ in range(4)] == [numbers[2], numbers[1], numbers[0], old[0].block]
    cache.check()


def test_a_block_that_is_gone_still_leads_to_those_behind_it():
    cache = PrefixCache(windowed=True)
    chain = chain_of(cache, b"a", b"b", b"c")
    cache.leave(chain[:2])
    cache.evict(), cache.evict()
    assert cache.match([b"a", b"b", b"c"], 3) == chain
    assert [block.is_gone for block in chain] == [True, True, False]
    cache.check()
    again = cache.insert(cache.root, b"a", 7)
    assert again is chain[0]
    assert (again.block, again.num_users) == (7, 1)
    cache.check()


def test_names_that_lead_nowhere_are_forgotten():
    cache = PrefixCache(windowed=True)
    chain = chain_of(cache, b"a", b"b", b"c")
    cache.leave(chain[:2])
    cache.evict(), cache.evict()
    cache.let_go(chain[2:])
    cache.evict()
    assert list(cache) == []
    assert cache.root.children == {}
    cache.check()
