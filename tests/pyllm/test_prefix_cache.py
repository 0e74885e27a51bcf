"""The tree of blocks: found by tokens alone, kept while used, forgotten leaf by leaf."""

import pytest

from pyllm.prefix_cache import PrefixCache


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
