"""What was computed before and may be needed again: full blocks, in a tree by their tokens.

A cached unit is the state that `block_size` more tokens add to a sequence, given the units before
it: the keys and values of those tokens in every layer, or, for a recurrent model, a snapshot
after them. The cache knows only the number of the unit in its pool and never looks inside.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

__all__ = ["GONE", "CachedBlock", "PrefixCache", "chain_digest"]

GONE = -1  # instead of the number of a block that was evicted before those that follow it


@dataclass(slots=True, eq=False)
class CachedBlock:
    """A unit and the chain of tokens that leads to it; identity is equality.

    The chain is the path from the root, so two blocks are the same exactly when all their tokens
    are: dictionaries compare the bytes themselves, a hash alone decides nothing.
    """

    parent: CachedBlock | None  # None only for the root
    key: bytes  # its tokens; the first block's begin with the salt's digest
    block: int  # number of the unit in its pool, or GONE
    digest: bytes = b""  # names the chain on disk; empty without a persistent tier
    num_users: int = 0  # sequences whose table holds the block
    children: dict[bytes, CachedBlock] = field(default_factory=dict)

    @property
    def is_gone(self) -> bool:
        return self.block == GONE

    def path(self) -> list[CachedBlock]:
        """From the first block of the chain to this one."""
        blocks: list[CachedBlock] = []
        node = self
        while node.parent is not None:
            blocks.append(node)
            node = node.parent
        return blocks[::-1]


class PrefixCache:
    """Blocks in use are shared by count; those in use by nobody wait to be found or evicted.

    Whoever uses a block uses all the blocks before it, and lets go of them last block first.
    So a block is never used later than the one before it, and the least recently used is a
    leaf: evicting it never leaves a block that can no longer be reached.

    windowed  users may leave the first blocks of their chain while they use the rest. A block that
              is evicted while others follow it stays as a mere name on the way to them, at 0.5 kB,
              until the last of them is evicted too.
    """

    def __init__(self, *, windowed: bool = False) -> None:
        self.root = CachedBlock(None, b"", GONE)
        self._windowed = windowed
        # Used by nobody, least recently used first. A plain dict would look through all the places
        # of what was evicted before to find its first.
        self._idle: OrderedDict[CachedBlock, None] = OrderedDict()

    @property
    def num_idle(self) -> int:
        """Blocks that could be evicted."""
        return len(self._idle)

    def match(self, keys: Sequence[bytes], most: int) -> list[CachedBlock]:
        """The longest known chain that begins with the first `most` keys, or a part of them.

        With windows some of its blocks may be gone.
        """
        node, found = self.root, []
        for index in range(most):
            child = node.children.get(keys[index])
            if child is None:
                break
            found.append(child)
            node = child
        return found

    def use(self, chain: Iterable[CachedBlock]) -> None:
        """Count one more user of each block."""
        for block in chain:
            if block.num_users == 0:
                del self._idle[block]
            block.num_users += 1

    def let_go(self, chain: Sequence[CachedBlock]) -> None:
        """Count one user less of each block of a whole chain, given from its first block on."""
        for block in reversed(chain):
            block.num_users -= 1
            if block.num_users == 0:
                self._idle[block] = None

    def leave(self, chain: Iterable[CachedBlock]) -> None:
        """Count one user less of blocks that a window has passed, given in its direction.

        Those that nobody else uses are evicted before all others, and of them the last ones
        first: a chain is of use up to any place if it is whole from the start.
        """
        for block in chain:
            block.num_users -= 1
            if block.num_users == 0:
                self._idle[block] = None
                self._idle.move_to_end(block, last=False)

    def insert(self, parent: CachedBlock, key: bytes, block: int) -> CachedBlock:
        """Add a block after `parent`, which has none with this key, or one that is gone.

        It has one user.
        """
        node = self.name(parent, key)
        assert node.is_gone
        node.block, node.num_users = block, 1
        return node

    def name(self, parent: CachedBlock, key: bytes) -> CachedBlock:
        """What follows `parent` with this key; when new, it is gone until it is inserted."""
        node = parent.children.get(key)
        if node is None:
            node = parent.children[key] = CachedBlock(parent, key, GONE)
        return node

    def evict(self) -> int:
        """Forget the least recently used block; returns its number. KeyError when none is idle."""
        node = next(iter(self._idle), None)
        if node is None:
            raise KeyError("every cached block is in use")
        assert self._windowed or not node.children, "it was used later than the one before it"
        del self._idle[node]
        block = node.block
        if node.children:
            node.block = GONE
        else:
            self._remove(node)
        return block

    def _remove(self, node: CachedBlock) -> None:
        """With those before it that now lead nowhere."""
        while node.parent is not None and not node.children:
            del node.parent.children[node.key]
            node = node.parent
            if not node.is_gone:
                return

    def __iter__(self) -> Iterator[CachedBlock]:
        """All blocks, those that are gone too, each after its parent."""
        rest = list(self.root.children.values())
        while rest:
            node = rest.pop()
            yield node
            rest += node.children.values()

    def check(self) -> None:
        """Assert the invariants, for tests."""
        place = {node: number for number, node in enumerate(self._idle)}
        for node in self:
            parent = node.parent
            assert parent is not None
            assert parent.children[node.key] is node
            if node.is_gone:
                assert self._windowed
                assert node.children, "it leads nowhere"
                assert node.num_users == 0
            else:
                assert (node.num_users == 0) == (node in place), "idle means used by nobody"
            if parent is not self.root and not self._windowed:
                assert parent.num_users >= node.num_users
                assert parent not in place or place[node] < place[parent], "leaves go first"
        assert set(place) <= {node for node in self if not node.is_gone}, "an evicted block is idle"


def chain_digest(parent: bytes, key: bytes) -> bytes:
    """32 bytes that name the chain called `parent`, continued by a block with this key."""
    return blake2b(parent + key, digest_size=32).digest()
