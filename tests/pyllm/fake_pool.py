"""Blocks of bytes in memory, as the persistent prefix cache wants them of a KV pool."""

from __future__ import annotations

import numpy as np

from tests.pyllm.fake_program import FakeProgram


class FakePool:
    def __init__(self, num_blocks=8, block_bytes=100, layout="fake 1"):
        self.blocks = np.zeros((num_blocks, block_bytes), np.uint8)
        self.layout = layout

    @classmethod
    def of(cls, program: FakeProgram):
        """The cells of a fake program, seen as bytes."""
        pool = cls()
        pool.blocks = program.cells.reshape(len(program.cells), -1).view(np.uint8)
        return pool

    @property
    def block_bytes(self):
        return self.blocks.shape[1]

    def copy_out(self, block, to):
        to[:] = self.blocks[block].data

    def copy_in(self, block, source):
        self.blocks[block] = np.frombuffer(source, np.uint8)
