"""Attention against NumPy; equal bits for every batch, chunking, thread count and ISA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyllm import _core
from tests.support.attention_model import AttentionModel, Schedule
from tests.support.core_program import ProgramBuilder

SHAPES: list[dict[str, Any]] = [
    {"lengths": (1,), "n_heads": 1, "n_kv_heads": 1},
    {"lengths": (70,), "n_heads": 1, "n_kv_heads": 1, "head_dim": 5, "v_dim": 3},
    {"lengths": (33, 1, 17), "n_heads": 6, "n_kv_heads": 2},
    {"lengths": (300,), "n_heads": 8, "n_kv_heads": 1, "head_dim": 64, "v_dim": 64,
     "block_size": 32},
    {"lengths": (520, 257), "n_heads": 7, "n_kv_heads": 7, "head_dim": 20, "v_dim": 36,
     "block_size": 48},
    {"lengths": (90,), "n_heads": 71, "n_kv_heads": 1, "head_dim": 16, "v_dim": 80},
    {"lengths": (40, 30), "head_dim": 12, "v_dim": 12, "rope_pairs": 6, "mode": "interleaved"},
    {"lengths": (40, 30), "head_dim": 16, "rope_pairs": 5, "norms": True, "block_size": 64},
    {"lengths": (600,), "n_heads": 8, "n_kv_heads": 2, "head_dim": 128, "v_dim": 128,
     "rope_pairs": 64, "norms": True, "block_size": 32},
]  # fmt: skip
MIXED = {
    "lengths": (530, 300, 20), "n_heads": 6, "n_kv_heads": 2, "head_dim": 24, "v_dim": 40,
    "rope_pairs": 12, "norms": True, "block_size": 16,
}  # fmt: skip
TYPES = ["f16", "bf16", "q8_0", "q4_0"]
# Head sizes that are no multiple of a group or vector, pages of one and of several panels.
STORED: list[dict[str, Any]] = [
    *({**MIXED, "k_type": kind, "v_type": kind} for kind in TYPES[1:]),
    {"lengths": (300, 17), "n_heads": 4, "n_kv_heads": 1, "head_dim": 64, "v_dim": 64,
     "k_type": "q8_0", "v_type": "q4_0", "block_size": 32},
    {"lengths": (270,), "n_heads": 2, "n_kv_heads": 2, "head_dim": 80, "v_dim": 96,
     "k_type": "q4_0", "v_type": "f16", "block_size": 48},
    {"lengths": (33,), "n_heads": 8, "n_kv_heads": 1, "head_dim": 100, "v_dim": 128,
     "k_type": "q4_0", "v_type": "q8_0"},
    {"lengths": (530,), "n_heads": 6, "n_kv_heads": 2, "head_dim": 128, "v_dim": 100,
     "k_type": "bf16", "v_type": "q4_0", "block_size": 64},
    {"lengths": (40,), "n_heads": 1, "n_kv_heads": 1, "head_dim": 5, "v_dim": 3,
     "k_type": "q4_0", "v_type": "q4_0"},
]  # fmt: skip
# Inside a panel, a panel, across chunks, a chunk; many rows that see different first chunks.
WINDOWS: list[dict[str, Any]] = [
    *({"lengths": (600, 30), "window": n, "block_size": 32} for n in (1, 5, 16, 100, 256, 300)),
    {"lengths": (700,), "n_heads": 8, "n_kv_heads": 1, "window": 40, "head_dim": 20, "v_dim": 36},
    {"lengths": (560,), "n_heads": 6, "n_kv_heads": 1, "window": 270, "head_dim": 80, "v_dim": 80,
     "k_type": "q8_0", "v_type": "q4_0", "block_size": 48},
]  # fmt: skip


def one_by_one(lengths: tuple[int, ...]) -> Schedule:
    return [[(seq, 1)] for seq, n in enumerate(lengths) for _ in range(n)]


def in_chunks(lengths: tuple[int, ...], chunk: int) -> Schedule:
    """All sequences advance together by `chunk` tokens, the last piece is shorter."""
    return [
        [(seq, min(chunk, n - at)) for seq, n in enumerate(lengths) if at < n]
        for at in range(0, max(lengths), chunk)
    ]


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_numpy(isa: str, shape: dict[str, Any]) -> None:
    model = AttentionModel(**shape)
    np.testing.assert_allclose(model.run(threads=2), model.expected(), atol=2e-3)
    exact_inputs = not (model.norms or model.rope_pairs)  # else f16 rounding may fall the other way
    if exact_inputs:
        np.testing.assert_allclose(model.run(), model.expected(), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("shape", STORED, ids=str)
def test_every_type_equals_numpy(isa: str, shape: dict[str, Any]) -> None:
    """Without norm and rotation keys are stored as NumPy rounds them: only sums differ."""
    model = AttentionModel(**{**shape, "norms": False, "rope_pairs": 0})
    for threads in (1, 2):
        np.testing.assert_allclose(
            model.run(threads=threads), model.expected(), rtol=2e-4, atol=2e-5
        )


@pytest.mark.parametrize("shape", WINDOWS, ids=str)
def test_windows_equal_numpy(isa: str, shape: dict[str, Any]) -> None:
    model = AttentionModel(**shape)
    for threads in (1, 3):
        result = model.run(threads=threads)
        np.testing.assert_allclose(result, model.expected(), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("shape", WINDOWS, ids=str)
def test_windows_have_the_same_bits_in_every_schedule(shape: dict[str, Any]) -> None:
    model = AttentionModel(**shape)
    whole = model.run()
    for chunk, threads in ((1, 1), (1, 3), (7, 2), (100, 1), (100, 3)):
        schedule = in_chunks(model.lengths, chunk)
        assert_same_bits(model.run(schedule, threads=threads), whole)


def test_a_window_of_everything_changes_no_bit() -> None:
    model = AttentionModel(**MIXED)
    whole = model.run()
    model.window = 530
    assert_same_bits(model.run(), whole)


@pytest.mark.parametrize("kind", TYPES)
def test_what_left_the_window_cannot_reach_a_row(kind: str) -> None:
    """A window of 50: rows from 90 on see nothing of the NaN before 40."""
    model = AttentionModel((400,), window=50, k_type=kind, v_type=kind)
    clean = model.run()
    model.k[:40] = np.nan
    model.v[:40] = np.inf
    for schedule in (None, in_chunks((400,), 1), in_chunks((400,), 64)):
        poisoned = model.run(schedule)
        assert_same_bits(poisoned[89:], clean[89:])
        assert np.isnan(poisoned[:89]).all()


@pytest.mark.parametrize("shape", WINDOWS, ids=str)
def test_blocks_behind_the_window_are_not_touched(isa: str, shape: dict[str, Any]) -> None:
    """Every bit of them set is NaN in all types, and a table that does not name them is enough."""
    model = AttentionModel(**shape)
    _, kv, _ = model.program()
    nan = np.full(kv.nbytes // (1 + model.max_blocks() * len(model.lengths)), 0xFF, np.uint8)
    whole = model.run()
    for chunk, threads in ((1, 1), (7, 2), (100, 1), (100, 3)):
        schedule = in_chunks(model.lengths, chunk)
        assert_same_bits(model.run(schedule, threads, gone=nan), whole)


def test_a_table_without_a_block_that_is_seen_is_refused() -> None:
    model = AttentionModel((64,), window=20)
    program, _, _ = model.program()
    c = program.columns
    c["block_tables"][0] = model.block_table(0)
    c["block_tables"][0, :2] = -1
    c["tokens"][0], c["positions"][0] = 50, 50  # it sees tokens 31 to 50
    c["seq_starts"][:2] = 0, 1
    with pytest.raises(ValueError, match=r"block_tables\[1\] is -1"):
        program.step(1, 1, 0)
    c["tokens"][0] = c["positions"][0] = 51
    program.step(1, 1, 0)


@pytest.mark.parametrize(("windows", "reach"), [((20, 0), 51), ((20, 40), 40), ((0,), 51)], ids=str)
def test_the_layer_that_sees_most_decides_what_a_table_must_hold(
    windows: tuple[int, ...], reach: int
) -> None:
    """Token 50 of a model whose layers see `windows`; blocks of 16."""
    kv = _core.KVPool(len(windows), 1, 16, 16, 16, 4)
    builder = ProgramBuilder(1, 0, 1, 4)
    x = builder.rows(np.ones((51, 16)))
    for layer, window in enumerate(windows):
        (x,) = builder.op(
            "attention", [x, x, x], [16], [None, None, None], layer=layer, n_heads=1, n_kv_heads=1,
            head_dim=16, v_dim=16, scale=1.0, eps=0.0, rope_dim=0, mode="neox", window=window,
        )  # fmt: skip
    program = builder.build(kv)
    c = program.columns
    c["tokens"][0] = c["positions"][0] = 50
    c["seq_starts"][:2] = 0, 1
    first = (51 - reach) // 16
    c["block_tables"][0] = [-1] * first + list(range(first, 4))
    program.step(1, 1, 0)
    c["block_tables"][0, first] = -1
    with pytest.raises(ValueError, match=rf"block_tables\[{first}\] is -1"):
        program.step(1, 1, 0)


def test_a_block_behind_one_window_may_be_written_by_another_sequence() -> None:
    model = AttentionModel((64, 64), window=20)
    program, _, _ = model.program()
    c = program.columns
    c["block_tables"][0], c["block_tables"][1] = model.block_table(0), model.block_table(1)
    c["block_tables"][1, 0] = c["block_tables"][0, 0]
    c["tokens"][:2], c["positions"][:2] = (34, 64), (34, 0)
    c["seq_starts"][:3] = 0, 1, 2
    with pytest.raises(ValueError, match="a block nothing else writes"):  # token 34 sees 15
        program.step(2, 2, 0)
    c["tokens"][0] = c["positions"][0] = 35
    program.step(2, 2, 0)


@pytest.mark.parametrize("shape", [*SHAPES, *STORED, *WINDOWS], ids=str)
def test_same_bits_on_every_instruction_set(restore_isa: None, shape: dict[str, Any]) -> None:
    results = []
    for name in _core.isas():
        _core.set_isa(name)
        results.append(AttentionModel(**shape).run())
    for result in results[1:]:
        assert_same_bits(result, results[0])


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("chunk", [1, 7, 64, 100, 512])
def test_same_bits_for_every_chunking(chunk: int, kind: str) -> None:
    model = AttentionModel(**MIXED, k_type=kind, v_type=kind)
    assert_same_bits(model.run(in_chunks(model.lengths, chunk)), model.run())


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_same_bits_for_every_thread_count(threads: int, kind: str) -> None:
    model = AttentionModel(**MIXED, k_type=kind, v_type=kind)
    whole = model.run()
    assert_same_bits(model.run(threads=threads), whole)
    # Single tokens on many threads: the chunks of one row are spread and merged again.
    assert_same_bits(model.run(in_chunks(model.lengths, 1), threads=threads), whole)


def test_same_bits_alone_or_in_a_batch() -> None:
    model = AttentionModel(**MIXED)
    assert_same_bits(model.run(one_by_one(model.lengths)), model.run())


@pytest.mark.parametrize("kind", TYPES)
def test_later_tokens_cannot_reach_a_row(kind: str) -> None:
    """Infinite keys and NaN values in the future, or left in a block by another sequence."""
    model = AttentionModel((60,), n_heads=4, n_kv_heads=2, k_type=kind, v_type=kind)
    clean = model.run()
    model.k[33:] = np.inf
    model.v[33:] = np.nan
    poisoned = model.run()
    assert_same_bits(poisoned[:33], clean[:33])
    assert np.isnan(poisoned[33:]).all()
    assert_same_bits(model.run(in_chunks((60,), 33))[:33], clean[:33])


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e30])
@pytest.mark.parametrize("table", ["k", "v"])
def test_what_cannot_be_quantised_shows_in_the_result(kind: str, bad: float, table: str) -> None:
    """One element of one key or value: whoever sees it gets no number, the others get theirs."""
    model = AttentionModel((40,), n_heads=2, n_kv_heads=1, k_type=kind, v_type=kind)
    clean = model.run()
    getattr(model, table)[20, 3] = bad
    result = model.run()
    assert_same_bits(result[:20], clean[:20])
    assert np.isnan(result[20:]).all()


@pytest.mark.parametrize("kind", TYPES)
def test_stale_blocks_do_not_matter(kind: str) -> None:
    model = AttentionModel((40,), n_heads=2, n_kv_heads=1, k_type=kind, v_type=kind)
    program, _, out = model.program()
    c = program.columns
    c["block_tables"][0] = model.block_table(0)

    def run(n: int) -> np.ndarray:
        c["tokens"][:n] = c["positions"][:n] = np.arange(n)
        c["seq_starts"][:2] = 0, n
        program.step(n, 1, 0)
        return program.read(out, n)

    first = run(7)
    run(40)
    assert_same_bits(run(7), first)


def test_shared_prefix_blocks_are_only_read() -> None:
    """Two sequences whose first block is one and the same."""
    model = AttentionModel((32, 32), seed=3)
    for table in (model.q, model.k, model.v):
        table[32:48] = table[:16]
    apart = model.run()
    program, _, out = model.program(threads=2)
    c = program.columns
    c["tokens"][:16] = c["positions"][:16] = np.arange(16)
    c["seq_starts"][:2] = 0, 16
    c["block_tables"][:, 0] = 0
    c["block_tables"][:, 1] = 1, 2
    program.step(16, 1, 0)
    c["tokens"][:32] = [*range(16, 32), *range(48, 64)]
    c["positions"][:32] = [*range(16, 32), *range(16, 32)]
    c["seq_starts"][:3] = 0, 16, 32
    program.step(32, 2, 0)
    together = program.read(out, 32)
    assert_same_bits(together[:16], apart[16:32])
    assert_same_bits(together[16:], apart[48:])


def test_bad_attention_is_refused() -> None:
    model = AttentionModel((4,))
    model.n_kv_heads = 1
    with pytest.raises(ValueError, match=r"attention.*does not fit the heads"):
        model.program()
