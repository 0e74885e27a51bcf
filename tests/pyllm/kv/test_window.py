"""Blocks behind a window: never one too many, and never more kept than promised."""

from hypothesis import given
from hypothesis import strategies as st

from pyllm.kv.window import KVWindow


def test_without_a_window_everything_is_needed() -> None:
    window = KVWindow(0, 16)
    assert not window.is_bounded
    assert window.first_block(10**6) == 0
    assert window.most_blocks(100, 512) == 7


def test_the_first_block_is_that_of_the_first_token_seen() -> None:
    window = KVWindow(40, 16)
    assert [window.first_block(position) for position in (0, 39, 54, 55, 70, 71)] == [
        0, 0, 0, 1, 1, 2
    ]  # fmt: skip


def test_the_full_block_before_a_token_is_always_kept() -> None:
    window = KVWindow(1, 16)
    assert [window.first_block(position) for position in (15, 16, 31, 32)] == [0, 0, 0, 1]


def test_what_a_long_text_needs() -> None:
    assert KVWindow(4096, 32).most_blocks(32768, 512) == 128 + 16 + 1
    assert KVWindow(4096, 32).most_blocks(32768, 1) == 128 + 1
    assert KVWindow(4096, 32).most_blocks(3000, 512) == 94


@given(
    tokens=st.integers(1, 70), block_size=st.integers(1, 20), length=st.integers(1, 400),
    chunks=st.lists(st.integers(1, 50), min_size=1),
)  # fmt: skip
def test_never_more_than_that(tokens: int, block_size: int, length: int, chunks: list[int]) -> None:
    """Any cut of a text, of which blocks are given back whenever one has been filled."""
    window = KVWindow(tokens, block_size)
    most = window.most_blocks(length, max(chunks))
    position = first = place = 0
    while position < length:
        end = min(length, position + chunks[place % len(chunks)])
        assert first * block_size <= max(0, position + 1 - tokens), "it still sees them"
        assert -(-end // block_size) - first <= most
        if end // block_size > position // block_size:
            first = window.first_block(min(end, length - 1))
        position, place = end, place + 1
