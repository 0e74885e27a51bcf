"""Which sequence owns which KV block. The bytes live in C++; here are only the block numbers."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

from pyllm.engine_counters import EngineCounters
from pyllm.errors import RequestError
from pyllm.prefix_cache import CachedBlock, PrefixCache, chain_digest
from pyllm.sequence import Sequence

if TYPE_CHECKING:
    from pyllm.prefix_store import PrefixStore

# Read from disk within a step that others wait for: at 1 GB/s and more 30 ms or less.
MOST_LOADED_BYTES = 32 << 20


class KVCache:
    """Hands out `num_blocks` blocks of `block_size` tokens and finds computed ones again.

    The blocks of a table are, from its start: cached ones, shared with every sequence that begins
    with the same tokens, and then the sequence's own. A block of its own is given to the prefix
    cache once all its tokens are computed.

    Invariant: every block is free, or in exactly one table, or in the prefix cache; a table is
    never longer than its sequence needs, or would need at its full length when it guesses.
    """

    def __init__(
        self,
        num_blocks: int,
        block_size: int,
        *,
        prefix_caching: bool = True,
        store: PrefixStore | None = None,
        counters: EngineCounters | None = None,
    ) -> None:
        if num_blocks < 1 or block_size < 1:
            raise ValueError(f"{num_blocks} blocks of {block_size} tokens: both must be positive")
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.prefix_caching = prefix_caching
        self.counters = counters or EngineCounters()
        self._store = store if prefix_caching else None
        self._prefixes = PrefixCache()
        if store is not None:
            self._prefixes.root.digest = store.root
        # A stack: the block freed last is reused first, while its pages are still warm.
        self._free = list(range(num_blocks - 1, -1, -1))
        # Of each sequence that this step prefills, the block it computes first: (parent, key).
        self._underway: set[tuple[CachedBlock, bytes]] = set()

    @property
    def num_free_blocks(self) -> int:
        """Blocks that a sequence can have: free ones and cached ones that nobody uses."""
        return len(self._free) + self._prefixes.num_idle

    @property
    def num_cached_blocks(self) -> int:
        return sum(1 for _ in self._prefixes)

    @property
    def capacity(self) -> int:
        """Tokens that fit in all blocks together."""
        return self.num_blocks * self.block_size

    def require_room_for(self, max_model_len: int) -> None:
        """A lone sequence must always fit, or preemption could not make room for it.

        Raises RequestError when it does not.
        """
        if self.capacity < max_model_len:
            limit = (
                f"the KV cache holds {self.capacity} tokens; "
                "lower max_model_len or give it more memory"
            )
            raise RequestError("max_model_len", max_model_len, limit)

    def blocks_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.block_size)

    def grow(self, sequence: Sequence, num_tokens: int) -> bool:
        """Give `sequence` blocks for its first `num_tokens` tokens; False changes nothing."""
        missing = -(-num_tokens // self.block_size) - len(sequence.block_table)
        if missing <= 0:
            return True
        if missing > self.num_free_blocks:
            return False
        free = self._free
        sequence.block_table.extend(
            free.pop() if free else self._prefixes.evict() for _ in range(missing)
        )
        return True

    def release(self, sequence: Sequence) -> None:
        """Take all of a sequence's blocks back; full ones stay cached while there is room."""
        cached = sequence.cached_blocks
        self._free.extend(reversed(sequence.block_table[len(cached) :]))
        self._prefixes.let_go(cached)
        sequence.forget_blocks()

    # ---- prefixes ----

    def lookup(self, sequence: Sequence) -> list[CachedBlock]:
        """The cached blocks that a waiting sequence can begin with; changes nothing.

        There are none for a request that wants the logits of its prompt.
        """
        if not self.prefix_caching or sequence.params.prompt_logprobs is not None:
            return []
        most = self._most_cached(sequence)
        self._make_keys(sequence, most)
        return self._prefixes.match(sequence.block_keys, most)

    def num_missing_blocks(self, num_tokens: int, prefix: list[CachedBlock]) -> int:
        """How many free blocks it takes to hold so many tokens that begin with `prefix`."""
        return self.blocks_for(num_tokens) - sum(block.num_users > 0 for block in prefix)

    def attach(self, sequence: Sequence, prefix: list[CachedBlock]) -> None:
        """Let a sequence without blocks begin with `prefix`, as `lookup` just found it."""
        self._prefixes.use(prefix)
        if self._store is not None:
            self._store.mark_used([block.digest for block in prefix])
            for block in prefix:  # those that the disk was too slow for when they were computed
                self._store.offer(block.digest, block.key, block.block)
        sequence.cached_blocks = prefix
        sequence.block_table = [block.block for block in prefix]
        sequence.num_computed_tokens = len(prefix) * self.block_size
        if self.prefix_caching:
            sequence.register_at = sequence.num_computed_tokens + self.block_size
        if sequence.num_cached_tokens is None:  # not when it comes back after a preemption
            sequence.num_cached_tokens = sequence.num_computed_tokens
            self.counters.num_prompt_tokens += len(sequence.tokens)
            self.counters.num_cached_tokens += sequence.num_computed_tokens

    def register(self, sequence: Sequence) -> None:
        """Give blocks whose tokens are all computed to the prefix cache.

        Call it after a step, once num_computed_tokens has reached `register_at`. What was computed
        of tokens that the sequence does not have, or not yet, is left out.
        """
        size, cached = self.block_size, sequence.cached_blocks
        num_full = min(sequence.num_computed_tokens, len(sequence.tokens)) // size
        self._make_keys(sequence, num_full)
        for index in range(len(cached), num_full):
            parent = cached[-1] if cached else self._prefixes.root
            key, own = sequence.block_keys[index], sequence.block_table[index]
            twin = parent.children.get(key)
            if twin is None:
                twin = self._insert(parent, key, own)
                if self._store is not None:
                    self._store.offer(twin.digest, key, own)
            else:  # another computed it at the same time, bit for bit: one copy is enough
                self._prefixes.use([twin])
                sequence.block_table = list(sequence.block_table)  # readers compare identities
                sequence.block_table[index] = twin.block
                self._free.append(own)
            cached.append(twin)
        sequence.register_at = (num_full + 1) * size

    def load(self, sequence: Sequence, prefix: list[CachedBlock], *, most_bytes: int) -> bool:
        """Read blocks that follow `prefix`, of which it becomes a part, from disk.

        Returns whether it stopped after `most_bytes` although there may be more. Blocks that were
        read are cached like any others, so that a later `lookup` finds them.
        """
        if self._store is None or sequence.params.prompt_logprobs is not None:
            return False
        wanted = self._wanted_from_disk(sequence, prefix)
        most = min(max(1, most_bytes // self._store.block_bytes), self.num_free_blocks)
        if not wanted:
            return False
        self._prefixes.use(prefix)
        for (_, key), payload in zip(wanted, self._store.read(wanted[:most]), strict=False):
            if self.num_free_blocks == 0:  # the prefix itself was among them
                break
            block = self._free.pop() if self._free else self._prefixes.evict()
            self._store.load(block, payload)
            prefix.append(self._insert(prefix[-1] if prefix else self._prefixes.root, key, block))
        self._prefixes.let_go(prefix)
        return len(wanted) > most

    def _wanted_from_disk(
        self, sequence: Sequence, prefix: list[CachedBlock]
    ) -> list[tuple[bytes, bytes]]:
        """(digest, key) of the blocks after `prefix` that are on disk."""
        assert self._store is not None
        digest = prefix[-1].digest if prefix else self._store.root
        wanted = []
        for key in sequence.block_keys[len(prefix) : self._most_cached(sequence)]:
            digest = chain_digest(digest, key)
            if digest not in self._store:
                break
            wanted.append((digest, key))
        return wanted

    def _insert(self, parent: CachedBlock, key: bytes, block: int) -> CachedBlock:
        node = self._prefixes.insert(parent, key, block)
        if self._store is not None:
            node.digest = chain_digest(parent.digest, key)
        return node

    def _most_cached(self, sequence: Sequence) -> int:
        """Blocks that need not be computed: the last token's logits are wanted, so it must be."""
        return (len(sequence.tokens) - 1) // self.block_size

    # ---- who computes what in this step ----

    def begin_step(self) -> None:
        self._underway.clear()

    def announce(self, sequence: Sequence) -> None:
        """This step computes a part of the sequence's prompt."""
        index = len(sequence.cached_blocks)
        if self.prefix_caching and (index + 1) * self.block_size <= len(sequence.tokens):
            self._make_keys(sequence, index + 1)
            parent = sequence.cached_blocks[-1] if index else self._prefixes.root
            self._underway.add((parent, sequence.block_keys[index]))

    def is_underway(self, sequence: Sequence, prefix: list[CachedBlock]) -> bool:
        """Whether this step computes the block that follows `prefix`, so that waiting pays.

        It suffices to know the first block of each announced sequence: one that shares more
        blocks with it has found all that come before.
        """
        index = len(prefix)
        if not self._underway or index >= self._most_cached(sequence):
            return False
        if sequence.params.prompt_logprobs is not None:
            return False
        parent = prefix[-1] if prefix else self._prefixes.root
        return (parent, sequence.block_keys[index]) in self._underway

    def _make_keys(self, sequence: Sequence, count: int) -> None:
        """Fill `block_keys` up to `count`; a block's tokens never change once they are known."""
        keys, size = sequence.block_keys, self.block_size
        for index in range(len(keys), count):
            key = array("i", sequence.tokens[index * size : (index + 1) * size]).tobytes()
            keys.append(key if index else _salt_digest(sequence.cache_salt) + key)

    def check(self, owners: Iterable[Sequence]) -> None:
        """Assert the invariant for `owners`, all the sequences there are."""
        owners = list(owners)
        own = [b for owner in owners for b in owner.block_table[len(owner.cached_blocks) :]]
        cached = [node.block for node in self._prefixes]
        assert sorted(own + cached + self._free) == list(range(self.num_blocks)), (
            "a block leaked or split"
        )
        self._prefixes.check()
        users = Counter(node for owner in owners for node in owner.cached_blocks)
        assert all(node.num_users == users[node] for node in self._prefixes)
        for owner in owners:
            most = owner.max_length if owner.num_draft_tokens else len(owner.tokens)
            assert len(owner.block_table) <= self.blocks_for(most)
            assert owner.num_computed_tokens <= len(owner.block_table) * self.block_size
            prefix = owner.cached_blocks
            assert not prefix or prefix == prefix[-1].path()
            assert [node.block for node in prefix] == owner.block_table[: len(prefix)]
            assert [node.key for node in prefix] == owner.block_keys[: len(prefix)]


def _salt_digest(salt: str | None) -> bytes:
    """Always as long, so that no salt and tokens read like others; on disk it tells no secret."""
    return blake2b((salt or "").encode("utf-8", "surrogatepass"), digest_size=32).digest()
