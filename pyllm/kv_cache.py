"""Which sequence owns which KV block. The bytes live in C++; here are only the block numbers."""

from __future__ import annotations

from collections.abc import Iterable

from pyllm.sequence import Sequence


class KVCache:
    """Hands out `num_blocks` blocks of `block_size` tokens.

    Invariant: every block is either free or in exactly one block table, and a table is never
    longer than its sequence needs, or would need at its full length when it drafts.
    """

    def __init__(self, num_blocks: int, block_size: int) -> None:
        if num_blocks < 1 or block_size < 1:
            raise ValueError(f"{num_blocks} blocks of {block_size} tokens: both must be positive")
        self.num_blocks = num_blocks
        self.block_size = block_size
        # A stack: the block freed last is reused first, while its pages are still warm.
        self._free = list(range(num_blocks - 1, -1, -1))

    @property
    def num_free_blocks(self) -> int:
        return len(self._free)

    @property
    def capacity(self) -> int:
        """Tokens that fit in all blocks together."""
        return self.num_blocks * self.block_size

    def blocks_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.block_size)

    def grow(self, sequence: Sequence, num_tokens: int) -> bool:
        """Give `sequence` blocks for its first `num_tokens` tokens; False changes nothing."""
        missing = -(-num_tokens // self.block_size) - len(sequence.block_table)
        if missing <= 0:
            return True
        if missing > len(self._free):
            return False
        sequence.block_table.extend(self._free.pop() for _ in range(missing))
        return True

    def release(self, sequence: Sequence) -> None:
        """Take all of a sequence's blocks back; what was computed in them is forgotten."""
        self._free.extend(reversed(sequence.block_table))
        sequence.block_table = []  # a new list: readers compare tables by identity
        sequence.num_computed_tokens = 0

    def check(self, owners: Iterable[Sequence]) -> None:
        """Assert the invariant for `owners`, all the sequences there are."""
        owners = list(owners)
        held = [block for sequence in owners for block in sequence.block_table]
        assert sorted(held + self._free) == list(range(self.num_blocks)), "a block leaked or split"
        for sequence in owners:
            most = sequence.max_length if sequence.num_draft_tokens else len(sequence.tokens)
            assert len(sequence.block_table) <= self.blocks_for(most)
            assert sequence.num_computed_tokens <= len(sequence.block_table) * self.block_size
