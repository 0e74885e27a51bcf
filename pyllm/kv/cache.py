"""Which sequence owns which KV block. The bytes live in C++; here are only the block numbers."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

from pyllm.engine.counters import EngineCounters
from pyllm.engine.sequence import Sequence
from pyllm.errors import RequestError
from pyllm.kv.prefix_cache import CachedBlock, PrefixCache, chain_digest
from pyllm.kv.window import KVWindow

if TYPE_CHECKING:
    from pyllm.kv.prefix_store import PrefixStore

# Read from disk within a step that others wait for: at 1 GB/s and more 30 ms or less.
MOST_LOADED_BYTES = 32 << 20
RELEASED = -1  # in a table, instead of a block behind the window: a program refuses to read it


class KVCache:
    """Hands out `num_blocks` blocks of `block_size` tokens and finds computed ones again.

    The blocks of a table are, from its start: cached ones, shared with every sequence that begins
    with the same tokens, and then the sequence's own. A block of its own is given to the prefix
    cache once all its tokens are computed. Blocks that no token to come can see, because every
    layer has a `window` (KVWindow), are released: the table says so and keeps its length.

    Invariant: every block is free, or in exactly one table, or in the prefix cache; a table is
    never longer than its sequence needs, or would need at its full length when it guesses.
    """

    def __init__(
        self,
        num_blocks: int,
        block_size: int,
        *,
        window: int = 0,
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
        self._window = KVWindow(window, block_size)
        self._prefixes = PrefixCache(windowed=self._window.is_bounded)
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
        return sum(not block.is_gone for block in self._prefixes)

    @property
    def capacity(self) -> int:
        """Tokens that fit in all blocks together."""
        return self.num_blocks * self.block_size

    def require_room_for(self, max_model_len: int, chunk: int) -> None:
        """A lone sequence must always fit, or preemption could not make room for it.

        chunk  most tokens that a step computes of a sequence
        Raises RequestError when it does not.
        """
        needed = self._window.most_blocks(max_model_len, chunk)
        if self.num_blocks < needed:
            limit = (
                f"the KV cache holds {self.capacity} tokens, and {needed * self.block_size} are "
                "kept of such a text; lower max_model_len or give it more memory"
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
        cached, released = sequence.cached_blocks, sequence.num_released_blocks
        self._free.extend(reversed(sequence.block_table[max(len(cached), released) :]))
        self._prefixes.let_go(cached[released:])
        sequence.forget_blocks()

    def settle(self, sequence: Sequence) -> None:
        """Give full blocks to the prefix cache, and those behind the window back.

        Call it after a step, once num_computed_tokens has reached `settle_at`. What was computed
        of tokens that the sequence does not have, or not yet, does not count.
        """
        num_known = min(sequence.num_computed_tokens, len(sequence.tokens))
        if self.prefix_caching:
            self._register(sequence, num_known // self.block_size)
        if self._window.is_bounded:
            # No token before the last one known is ever computed again, whatever was guessed.
            self._slide(sequence, min(num_known, len(sequence.tokens) - 1))
        self._settle_when_full(sequence, num_known)

    def _settle_when_full(self, sequence: Sequence, num_known: int) -> None:
        if self.prefix_caching or self._window.is_bounded:
            sequence.settle_at = (num_known // self.block_size + 1) * self.block_size

    def _slide(self, sequence: Sequence, position: int) -> None:
        """Take back the blocks that tokens from `position` on do not need."""
        first, end = sequence.num_released_blocks, self._window.first_block(position)
        if first >= end:
            return
        table, cached = sequence.block_table, sequence.cached_blocks
        self._prefixes.leave(cached[first:end])
        self._free.extend(table[max(first, len(cached)) : end])
        # A new list: readers compare identities.
        sequence.block_table = [RELEASED] * end + table[end:]
        sequence.num_released_blocks = end

    # ---- prefixes ----

    def lookup(self, sequence: Sequence) -> list[CachedBlock]:
        """The cached blocks that a waiting sequence can begin with; changes nothing.

        There are none for a request that wants the logits or the states of its prompt.
        """
        if not self.prefix_caching or sequence.is_scored:
            return []
        most = self._most_cached(sequence)
        self._make_keys(sequence, most)
        found = self._prefixes.match(sequence.block_keys, most)
        return found[: self._num_usable(found)] if self._window.is_bounded else found

    def _num_usable(self, chain: list[CachedBlock]) -> int:
        """Blocks after which a sequence can go on: what its next token needs of them is there."""
        end = place = len(chain)
        while place > self._first_needed(end):
            place -= 1
            if chain[place].is_gone:
                end = place
        return end

    def _first_needed(self, num_blocks: int) -> int:
        """The first block that the token after so many blocks needs."""
        return self._window.first_block(num_blocks * self.block_size)

    def num_missing_blocks(self, num_tokens: int, prefix: list[CachedBlock], chunk: int) -> int:
        """How many free blocks it takes to compute so many tokens that begin with `prefix`.

        chunk  most tokens that a step computes of them
        """
        needed = prefix[self._first_needed(len(prefix)) :]
        idle = sum(block.num_users == 0 for block in needed)
        new = self.blocks_for(num_tokens) - len(prefix)
        return min(idle + new, self._window.most_blocks(num_tokens, chunk))

    def attach(self, sequence: Sequence, prefix: list[CachedBlock]) -> None:
        """Let a sequence without blocks begin with `prefix`, as `lookup` just found it."""
        released = self._first_needed(len(prefix))
        needed = prefix[released:]
        self._prefixes.use(needed)
        if self._store is not None:
            self._store.mark_used([block.digest for block in needed])
            for block in needed:  # those that the disk was too slow for when they were computed
                self._store.offer(block.digest, block.key, block.block)
        sequence.cached_blocks = prefix
        sequence.block_table = [RELEASED] * released + [block.block for block in needed]
        sequence.num_released_blocks = released
        sequence.num_computed_tokens = len(prefix) * self.block_size
        self._settle_when_full(sequence, sequence.num_computed_tokens)
        if sequence.num_cached_tokens is None:  # not when it comes back after a preemption
            sequence.num_cached_tokens = sequence.num_computed_tokens
            self.counters.num_prompt_tokens += len(sequence.tokens)
            self.counters.num_cached_tokens += sequence.num_computed_tokens

    def _register(self, sequence: Sequence, num_full: int) -> None:
        """Give the first `num_full` blocks of a sequence to the prefix cache."""
        cached = sequence.cached_blocks
        self._make_keys(sequence, num_full)
        for index in range(len(cached), num_full):
            parent = cached[-1] if cached else self._prefixes.root
            key, own = sequence.block_keys[index], sequence.block_table[index]
            twin = parent.children.get(key)
            if twin is None or twin.is_gone:
                twin = self._insert(parent, key, own)
                if self._store is not None:
                    self._store.offer(twin.digest, key, own)
            else:  # another computed it at the same time, bit for bit: one copy is enough
                self._prefixes.use([twin])
                sequence.block_table = list(sequence.block_table)  # readers compare identities
                sequence.block_table[index] = twin.block
                self._free.append(own)
            cached.append(twin)

    def load(self, sequence: Sequence, prefix: list[CachedBlock], *, most_bytes: int) -> bool:
        """Read blocks from disk with which `prefix`, as `lookup` found it, becomes longer.

        Returns whether it stopped after `most_bytes` although there may be more. Blocks that were
        read are cached like any others, so that a later `lookup` finds them.
        """
        if self._store is None or sequence.is_scored:
            return False
        wanted, between = self._wanted_from_disk(sequence, prefix)
        if not wanted:
            return False
        in_use = prefix[self._first_needed(len(prefix)) :] + between
        self._prefixes.use(in_use)  # so that they are not evicted
        most = max(1, most_bytes // self._store.block_bytes)
        names = [(digest, sequence.block_keys[index]) for index, digest in wanted[:most]]
        node, depth = (prefix[-1] if prefix else self._prefixes.root), len(prefix)
        for (index, _), payload in zip(wanted, self._store.read(names), strict=False):
            block = self._free.pop() if self._free else self._prefixes.evict()
            self._store.load(block, payload)
            for key in sequence.block_keys[depth:index]:
                node = self._name(node, key)
            node = self._insert(node, sequence.block_keys[index], block)
            depth = index + 1
            in_use.append(node)
        self._prefixes.let_go(in_use)
        prefix[:] = self.lookup(sequence)
        return len(wanted) > most

    def _wanted_from_disk(
        self, sequence: Sequence, prefix: list[CachedBlock]
    ) -> tuple[list[tuple[int, bytes]], list[CachedBlock]]:
        """(index, digest) of the blocks to read, as many as there is room for, and the cached
        ones between them: with both, a sequence can begin later than after `prefix`.
        """
        assert self._store is not None
        node: CachedBlock | None = prefix[-1] if prefix else self._prefixes.root
        digest = prefix[-1].digest if prefix else self._store.root
        start = self._first_needed(len(prefix))  # all blocks from there on can be had
        on_disk: list[tuple[int, bytes]] = []
        cached: list[tuple[int, CachedBlock]] = []
        end, num_read = len(prefix), 0  # of the longest beginning so far
        room = self.num_free_blocks - sum(block.num_users == 0 for block in prefix[start:])
        for index in range(len(prefix), self._most_cached(sequence)):
            key = sequence.block_keys[index]
            digest = chain_digest(digest, key)
            node = node.children.get(key) if node is not None else None
            if node is not None and not node.is_gone:
                cached.append((index, node))
                room -= node.num_users == 0
            elif digest in self._store:
                on_disk.append((index, digest))
            elif self._window.is_bounded:
                start = index + 1
            else:
                break
            first = self._first_needed(index + 1)
            needed = len(on_disk) - bisect_left(on_disk, (first, b""))
            if start <= first and needed <= room:
                end, num_read = index + 1, len(on_disk)
        first = self._first_needed(end)
        wanted = [place for place in on_disk[:num_read] if place[0] >= first]
        return wanted, [block for index, block in cached if first <= index < end]

    def _insert(self, parent: CachedBlock, key: bytes, block: int) -> CachedBlock:
        self._name(parent, key)
        return self._prefixes.insert(parent, key, block)

    def _name(self, parent: CachedBlock, key: bytes) -> CachedBlock:
        node = self._prefixes.name(parent, key)
        if self._store is not None and not node.digest:
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
        if sequence.is_scored:
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
        own = [
            block
            for owner in owners
            for block in owner.block_table[
                max(len(owner.cached_blocks), owner.num_released_blocks) :
            ]
        ]
        cached = [node.block for node in self._prefixes if not node.is_gone]
        assert sorted(own + cached + self._free) == list(range(self.num_blocks)), (
            "a block leaked or split"
        )
        self._prefixes.check()
        users = Counter(
            node for owner in owners for node in owner.cached_blocks[owner.num_released_blocks :]
        )
        assert all(node.num_users == users[node] for node in self._prefixes)
        for owner in owners:
            most = owner.max_length if owner.num_draft_tokens else len(owner.tokens)
            assert len(owner.block_table) <= self.blocks_for(most)
            assert owner.num_computed_tokens <= len(owner.block_table) * self.block_size
            prefix, released = owner.cached_blocks, owner.num_released_blocks
            assert released <= self._window.first_block(owner.num_computed_tokens)
            assert owner.block_table[:released] == [RELEASED] * released
            assert not prefix or prefix == prefix[-1].path()
            held = owner.block_table[released : len(prefix)]
            assert [node.block for node in prefix[released:]] == held
            assert [node.key for node in prefix] == owner.block_keys[: len(prefix)]


def _salt_digest(salt: str | None) -> bytes:
    """Always as long, so that no salt and tokens read like others; on disk it tells no secret."""
    return blake2b((salt or "").encode("utf-8", "surrogatepass"), digest_size=32).digest()
