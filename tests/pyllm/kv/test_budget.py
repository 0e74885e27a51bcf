"""The KV cache is sized by memory: it fits or it is refused with both numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.errors import MemoryBudgetError, RequestError
from pyllm.kv.budget import KVSize, block_bytes, choose_kv_size
from pyllm.kv.types import KVTypes
from pyllm.kv.window import KVWindow

GIB = 2**30
F16 = KVTypes()


def config(context_length: int = 8192, **changes: Any) -> Any:
    """Llama 3.1 8B: 128 KiB of keys and values per token."""
    fields = {
        "n_layers": 32, "n_kv_heads": 8, "head_dim": 128, "v_dim": 128,
        "context_length": context_length,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def size(model: Any = None, **changes: Any) -> KVSize:
    options: dict[str, Any] = {
        "block_size": 32, "types": F16, "max_num_seqs": 16, "max_num_batched_tokens": 512,
        "window": 0, "max_model_len": None, "kv_cache_bytes": None, "available": 16 * GIB,
    }  # fmt: skip
    return choose_kv_size(model or config(), **{**options, **changes})


def test_bytes_of_a_block() -> None:
    assert block_bytes(config(), 32, F16) == 32 * 128 * 1024
    # The pool pads the values of a head to 16: 7 takes as much as 16.
    assert block_bytes(config(v_dim=7), 16, F16) == block_bytes(config(v_dim=16), 16, F16)


@pytest.mark.parametrize(("kind", "factor"), [("bf16", 1), ("q8_0", 32 / 17), ("q4_0", 32 / 9)])
def test_smaller_types_hold_more_tokens(kind: str, factor: float) -> None:
    chosen = size(types=KVTypes(kind, kind), kv_cache_bytes=GIB, max_num_seqs=64)
    assert chosen.num_blocks == int(size(kv_cache_bytes=GIB, max_num_seqs=64).num_blocks * factor)


def test_quarter_of_the_memory_without_a_wish() -> None:
    chosen = size()
    assert chosen == KVSize(8192, num_blocks=1024, nbytes=4 * GIB, num_sequence_blocks=256)


def test_no_more_than_all_sequences_need() -> None:
    chosen = size(max_num_seqs=2, available=100 * GIB)
    assert chosen == KVSize(8192, num_blocks=512, nbytes=2 * GIB, num_sequence_blocks=256)


def test_context_is_shortened_to_what_fits() -> None:
    chosen = size(config(context_length=131072))
    assert chosen == KVSize(32768, num_blocks=1024, nbytes=4 * GIB, num_sequence_blocks=1024)


def test_a_wanted_length_may_take_more_than_a_quarter() -> None:
    chosen = size(config(context_length=131072), max_model_len=100_000)
    assert chosen.max_model_len == 100_000
    assert chosen.num_blocks == 3125


def test_a_wanted_length_that_does_not_fit_names_both_numbers() -> None:
    with pytest.raises(MemoryBudgetError, match=r"needs 16.0 GiB, 8.0 GiB are available") as e:
        size(config(context_length=131072), max_model_len=131072, available=8 * GIB)
    assert (e.value.needed, e.value.available) == (16 * GIB, 8 * GIB)
    assert "lower max_model_len" in str(e.value)


def test_explicit_budget_is_not_exceeded() -> None:
    assert size(kv_cache_bytes=GIB).nbytes == GIB
    with pytest.raises(MemoryBudgetError, match="raise kv_cache_bytes"):
        size(kv_cache_bytes=GIB - 1, max_model_len=8192)
    with pytest.raises(MemoryBudgetError, match="raise kv_cache_bytes"):
        size(kv_cache_bytes=1)


def test_longer_than_the_models_context_is_refused() -> None:
    with pytest.raises(RequestError, match="max_model_len"):
        size(max_model_len=8193)


def test_context_is_not_rounded_up_to_blocks() -> None:
    chosen = size(config(context_length=100))
    assert chosen.max_model_len == 100
    assert chosen.num_blocks == 16 * 4


def test_unknown_memory_gives_all_that_is_useful() -> None:
    assert size(available=None, max_num_seqs=3).num_blocks == 3 * 256


def test_hostile_sizes_do_not_wrap() -> None:
    huge = config(2**31 - 1, n_layers=1024, n_kv_heads=4096, head_dim=1024, v_dim=1024)
    with pytest.raises(MemoryBudgetError):
        size(huge, max_model_len=2**31 - 1)
    with pytest.raises(MemoryBudgetError):  # one block alone is 512 GiB
        size(huge)


@given(
    context=st.integers(1, 200_000), seqs=st.integers(1, 64), memory=st.integers(0, 2**36),
    block=st.sampled_from([16, 32, 64]), wish=st.none() | st.integers(1, 200_000),
    window=st.just(0) | st.integers(1, 10_000),
)  # fmt: skip
def test_one_full_sequence_always_fits(
    context: int, seqs: int, memory: int, block: int, wish: int | None, window: int
) -> None:
    model = config(context)
    try:
        chosen = size(
            model, max_num_seqs=seqs, available=memory, block_size=block, max_model_len=wish,
            window=window,
        )  # fmt: skip
    except (MemoryBudgetError, RequestError):
        return
    assert chosen.nbytes == chosen.num_blocks * block_bytes(model, block, F16) <= memory
    assert 1 <= chosen.max_model_len <= context
    assert KVWindow(window, block).most_blocks(chosen.max_model_len, 512) <= chosen.num_blocks
    assert wish is None or chosen.max_model_len == wish


def test_the_size_is_told_in_one_line() -> None:
    text = KVSize(4096, num_blocks=1024, nbytes=2**32, num_sequence_blocks=128).describe(32)
    assert text == (
        "KV cache: 4.0 GiB, 32768 tokens in blocks of 32; up to 4096 tokens a request: 512.0 MiB"
    )


def test_a_window_bounds_what_a_sequence_needs() -> None:
    """128 blocks of the window, 16 of a chunk, and one that it begins in."""
    chosen = size(config(context_length=32768), window=4096, max_num_seqs=2)
    assert chosen == KVSize(
        32768, num_blocks=2 * 145, nbytes=2 * 145 * 2**22, num_sequence_blocks=145, window=4096
    )
    assert chosen.describe(32) == (
        "KV cache: 1.1 GiB, 9280 tokens in blocks of 32; "
        "up to 32768 tokens a request, the last 4096 of them kept: 580.0 MiB"
    )


def test_a_window_that_does_not_fit_shortens_the_context() -> None:
    model = config(context_length=32768)
    assert size(model, window=4096, kv_cache_bytes=145 * 2**22).max_model_len == 32768
    assert size(model, window=4096, kv_cache_bytes=144 * 2**22).max_model_len == 144 * 32
    with pytest.raises(MemoryBudgetError, match="raise kv_cache_bytes"):
        size(model, window=4096, kv_cache_bytes=144 * 2**22, max_model_len=32768)
