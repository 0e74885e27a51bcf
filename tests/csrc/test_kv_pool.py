"""The KV pool: its shape checks, and where attention puts keys and values."""

from __future__ import annotations

import numpy as np
import pytest

from pyllm import _core
from tests.support.attention_model import AttentionModel
from tests.support.kv_reference import stored

GOOD = {"n_layers": 2, "n_kv_heads": 3, "k_dim": 10, "v_dim": 20, "block_size": 32, "n_blocks": 5}


def test_size_counts_padded_values() -> None:
    pool = _core.KVPool(**GOOD)
    assert pool.nbytes == 2 * 5 * 3 * 32 * (10 + 32) * 2
    assert (pool.block_size, pool.n_blocks, pool.k_dim, pool.v_dim) == (32, 5, 10, 20)


@pytest.mark.parametrize(
    ("k_type", "v_type", "token_bytes"),
    [("bf16", "bf16", 2 * (10 + 32)), ("q8_0", "q8_0", (10 + 2) + (32 + 2)),
     ("q4_0", "q4_0", (5 + 2) + (16 + 2)), ("q4_0", "f16", 5 + 2 + 64)],
)  # fmt: skip
def test_size_follows_the_types(k_type: str, v_type: str, token_bytes: int) -> None:
    pool = _core.KVPool(**GOOD, k_type=k_type, v_type=v_type)
    assert pool.nbytes == 2 * 5 * 3 * 32 * token_bytes
    assert (pool.k_type, pool.v_type) == (k_type, v_type)
    with pytest.raises(ValueError, match="no type 'q5_1'"):
        _core.KVPool(**GOOD, k_type="q5_1")


def test_memory_is_not_touched_until_written() -> None:
    """A pool of 2 TiB can be made on any machine: only written blocks become resident."""
    pool = _core.KVPool(32, 8, 128, 128, 32, 1 << 19)
    assert pool.nbytes == 1 << 41
    assert not pool.keys(31, (1 << 19) - 1, 7).any()


@pytest.mark.parametrize(
    ("field", "value"),
    [("block_size", 24), ("block_size", 0), ("n_blocks", 0), ("n_layers", -1), ("k_dim", 0),
     ("v_dim", -5), ("n_kv_heads", 1 << 40), ("n_blocks", 1 << 31)],
)  # fmt: skip
def test_impossible_sizes_are_refused(field: str, value: int) -> None:
    sizes = (
        {**GOOD, "n_layers": 1 << 20, field: value} if value == 1 << 31 else {**GOOD, field: value}
    )
    with pytest.raises(ValueError, match=f"KVPool.*({field}|bytes)"):
        _core.KVPool(**sizes)


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0", "q4_0"])
@pytest.mark.parametrize("block_size", [16, 32, 48])
def test_tokens_land_in_their_blocks(isa: str, block_size: int, kind: str) -> None:
    model = AttentionModel(
        (75, 20), n_heads=2, n_kv_heads=2, head_dim=37, v_dim=45, block_size=block_size,
        k_type=kind, v_type=kind,
    )  # fmt: skip
    program, kv, _ = model.program(threads=2)
    c = program.columns
    c["tokens"][:95] = np.arange(95)
    c["positions"][:95] = [*range(75), *range(20)]
    c["seq_starts"][:3] = 0, 75, 95
    for seq in range(2):
        c["block_tables"][seq] = model.block_table(seq)
    program.step(95, 2, 0)
    for seq, start, n in ((0, 0, 75), (1, 75, 20)):
        for head in range(2):
            blocks = model.block_table(seq)
            keys = np.concatenate([kv.keys(0, int(b), head) for b in blocks])[:n]
            values = np.concatenate([kv.values(0, int(b), head) for b in blocks])[:n]
            rows = slice(start, start + n)
            expected_keys = stored(model.k[rows].reshape(n, 2, 37)[:, head], kind)
            expected_values = stored(model.v[rows].reshape(n, 2, 45)[:, head], kind)
            np.testing.assert_array_equal(keys, expected_keys)
            np.testing.assert_array_equal(values, expected_values)


def test_reading_outside_is_refused() -> None:
    pool = _core.KVPool(**GOOD)
    for place in ((2, 0, 0), (0, 5, 0), (0, 0, 3), (-1, 0, 0)):
        with pytest.raises(ValueError, match="no such"):
            pool.keys(*place)


def test_the_bytes_of_a_block_move_to_another_pool() -> None:
    pool = _core.KVPool(**GOOD)
    other = _core.KVPool(**{**GOOD, "n_blocks": 2})
    assert pool.block_bytes == other.block_bytes == pool.nbytes // 5
    # halves whose exponents are not all ones: no NaN, which equals nothing
    halves = np.random.default_rng(1).integers(0, 0x7C00, pool.block_bytes // 2, dtype=np.uint16)
    sent = halves.view(np.uint8)
    pool.copy_in(3, sent)
    received = bytearray(pool.block_bytes)
    pool.copy_out(3, received)
    assert received == sent.tobytes()
    other.copy_in(1, received)
    for layer in range(2):
        for head in range(3):
            for name in ("keys", "values"):
                moved = getattr(other, name)(layer, 1, head)
                kept = getattr(pool, name)(layer, 3, head)
                assert moved.any()
                assert moved.tobytes() == kept.tobytes()
            assert not pool.keys(layer, 2, head).any()
            assert not pool.keys(layer, 4, head).any()


@pytest.mark.parametrize(("block", "size"), [(-1, 0), (5, 0), (0, 1), (0, -1)])
def test_only_whole_blocks_move(block: int, size: int) -> None:
    pool = _core.KVPool(**GOOD)
    with pytest.raises(ValueError, match="block"):
        pool.copy_in(block, bytes(pool.block_bytes + size))
    with pytest.raises(ValueError, match="block"):
        pool.copy_out(block, bytearray(pool.block_bytes + size))


def test_the_layout_names_every_size() -> None:
    names = {_core.KVPool(**{**GOOD, field: 16 * GOOD[field]}).layout for field in GOOD}
    assert len(names) == len(GOOD), "all but n_blocks differ"
    assert _core.KVPool(**GOOD).layout in names
