"""One attention op over random rows, run in any schedule of steps, and what NumPy says about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pyllm import _core
from tests.support.core_program import Floats, ProgramBuilder
from tests.support.kv_reference import stored

# A step: (sequence, number of its next tokens) pairs.
Schedule = list[list[tuple[int, int]]]


@dataclass
class AttentionModel:
    """Token ids count through the rows of all sequences, one after the other."""

    lengths: tuple[int, ...]
    n_heads: int = 4
    n_kv_heads: int = 2
    head_dim: int = 8
    v_dim: int = 8
    block_size: int = 16
    rope_pairs: int = 0
    mode: str = "neox"
    norms: bool = False
    window: int = 0
    k_type: str = "f16"
    v_type: str = "f16"
    seed: int = 0
    q: Floats = field(init=False)
    k: Floats = field(init=False)
    v: Floats = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        n = sum(self.lengths)
        self.q = rng.normal(size=(n, self.n_heads * self.head_dim)).astype(np.float32)
        self.k = rng.normal(size=(n, self.n_kv_heads * self.head_dim)).astype(np.float32)
        self.v = rng.normal(size=(n, self.n_kv_heads * self.v_dim)).astype(np.float32)
        self.norm_weights = rng.uniform(0.5, 2, size=(2, self.head_dim)).astype(np.float32)
        exponents = -np.arange(self.rope_pairs) / max(1, self.rope_pairs)
        self.inv_freq = (1e4**exponents).astype(np.float32)
        self.scale = 1.3 / np.sqrt(self.head_dim)

    def max_blocks(self) -> int:
        return -(-max(self.lengths) // self.block_size)

    def program(self, threads: int = 1) -> tuple[_core.Program, _core.KVPool, tuple[int, int, str]]:
        n_blocks = 1 + self.max_blocks() * len(self.lengths)
        heads = self.n_kv_heads, self.head_dim, self.v_dim
        kv = _core.KVPool(1, *heads, self.block_size, n_blocks, self.k_type, self.v_type)
        builder = ProgramBuilder(sum(self.lengths), 0, len(self.lengths), self.max_blocks())
        inputs = [builder.rows(table) for table in (self.q, self.k, self.v)]
        weights = [
            self.norm_weights[0] if self.norms else None,
            self.norm_weights[1] if self.norms else None,
            self.inv_freq if self.rope_pairs else None,
        ]
        (out,) = builder.op(
            "attention", inputs, [self.n_heads * self.v_dim], weights, layer=0,
            n_heads=self.n_heads, n_kv_heads=self.n_kv_heads, head_dim=self.head_dim,
            v_dim=self.v_dim, scale=self.scale, eps=1e-6, rope_dim=2 * self.rope_pairs,
            mode=self.mode, window=self.window,
        )  # fmt: skip
        program = builder.build(kv, threads)
        return program, kv, out

    def block_table(self, seq: int) -> np.ndarray:
        """Blocks of a sequence, interleaved with the others' and in descending order."""
        n = len(self.lengths)
        return np.arange(self.max_blocks(), dtype=np.int32)[::-1] * n + seq

    def first_needed(self, position: int) -> int:
        """The first block that the token at `position` reads."""
        return max(0, position + 1 - self.window) // self.block_size if self.window else 0

    def run(
        self, schedule: Schedule | None = None, threads: int = 1, *, gone: np.ndarray | None = None
    ) -> Floats:
        """Attention rows of all tokens, in the order of the tables.

        gone  bytes that are written over a block as soon as it has left the window; tables do not
              name it from then on
        """
        if schedule is None:
            schedule = [[(seq, n) for seq, n in enumerate(self.lengths)]]
        program, kv, out = self.program(threads)
        columns = program.columns
        first_id = np.concatenate([[0], np.cumsum(self.lengths)])
        done = [0] * len(self.lengths)
        result = np.full((sum(self.lengths), self.n_heads * self.v_dim), np.nan, np.float32)
        for step in schedule:
            ids: list[int] = []
            for i, (seq, n) in enumerate(step):
                columns["seq_starts"][i] = len(ids)
                rows = slice(len(ids), len(ids) + n)
                columns["positions"][rows] = np.arange(done[seq], done[seq] + n)
                table = self.block_table(seq)
                if gone is not None:
                    for block in table[: self.first_needed(done[seq])]:
                        kv.copy_in(block, gone)
                    table[: self.first_needed(done[seq])] = -1
                columns["block_tables"][i] = table
                ids += range(first_id[seq] + done[seq], first_id[seq] + done[seq] + n)
                done[seq] += n
            columns["seq_starts"][len(step)] = len(ids)
            columns["tokens"][: len(ids)] = ids
            program.step(len(ids), len(step), 0)
            result[ids] = program.read(out, len(ids))
        return result

    def expected(self) -> np.ndarray:
        """The same in float64, with keys and values rounded as the cache holds them."""
        out = np.zeros((sum(self.lengths), self.n_heads, self.v_dim))
        group = self.n_heads // self.n_kv_heads
        start = 0
        for n in self.lengths:
            rows = slice(start, start + n)
            q = self._heads(self.q[rows], self.n_heads, 0)
            k = stored(self._heads(self.k[rows], self.n_kv_heads, 1), self.k_type)
            v = stored(self.v[rows].reshape(n, self.n_kv_heads, -1), self.v_type)
            for head in range(self.n_heads):
                scores = q[:, head] @ k[:, head // group].T.astype(np.float64) * self.scale
                scores[np.triu_indices(n, 1)] = -np.inf
                if self.window:
                    scores[np.tril_indices(n, -self.window)] = -np.inf
                weights = np.exp(scores - scores.max(axis=1, keepdims=True))
                out[rows, head] = weights @ v[:, head // group] / weights.sum(axis=1, keepdims=True)
            start += n
        return out.reshape(len(out), -1)

    def _heads(self, x: Floats, n_heads: int, norm: int) -> np.ndarray:
        heads = x.astype(np.float64).reshape(len(x), n_heads, -1)
        if self.norms:
            heads = heads / np.sqrt(np.mean(heads**2, axis=-1, keepdims=True) + 1e-6)
            heads = heads * self.norm_weights[norm]
        n = self.rope_pairs
        angle = np.arange(len(x))[:, None, None] * self.inv_freq.astype(np.float64)
        neox = self.mode == "neox"
        first = np.s_[..., :n] if neox else np.s_[..., 0 : 2 * n : 2]
        second = np.s_[..., n : 2 * n] if neox else np.s_[..., 1 : 2 * n : 2]
        turned = heads.copy()
        turned[first] = heads[first] * np.cos(angle) - heads[second] * np.sin(angle)
        turned[second] = heads[first] * np.sin(angle) + heads[second] * np.cos(angle)
        return turned
