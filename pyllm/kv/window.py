"""What a sliding window leaves of a sequence: the blocks its tokens still see, and how many."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KVWindow"]


@dataclass(frozen=True, slots=True)
class KVWindow:
    """The last `tokens` tokens, a token's own among them; 0: everything before it."""

    tokens: int
    block_size: int

    @property
    def is_bounded(self) -> bool:
        return self.tokens > 0

    def first_block(self, position: int) -> int:
        """The first block that the token at `position` needs: all before it are done with.

        The full block before the token is always kept, seen or not: the next one follows it in
        the prefix cache.
        """
        if not self.tokens:
            return 0
        return max(0, position + 1 - max(self.tokens, self.block_size + 1)) // self.block_size

    def most_blocks(self, length: int, chunk: int) -> int:
        """Blocks that a sequence of `length` tokens holds at most.

        chunk  most tokens that a step computes of it. Blocks are given back after a step that
               filled one, so beside the window's there are the chunk's, and one that both share.
        """
        size = self.block_size
        whole = -(-length // size)
        if not self.tokens:
            return whole
        window = -(-max(self.tokens, size + 1) // size)
        return min(whole, window + -(-(chunk - 1) // size) + 1)
