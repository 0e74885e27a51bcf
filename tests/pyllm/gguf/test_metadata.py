"""The memory of metadata stays in proportion to its bytes in the file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from pyllm.gguf import GGUFFile
from tests.corpus.builder import STRING, U8, Entry, Gguf, array, key


def grown(path: Path, *, everything: bool) -> int:
    """Bytes that opening the file adds; `everything` also reads each value once and keeps it."""
    tracemalloc.start()
    try:
        with GGUFFile.open(path) as file:
            kept = [file.metadata[name] for name in file.metadata] if everything else None
            for value in kept or []:
                if hasattr(value, "raw"):
                    value.raw(len(value) - 1)
            return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("kind", ["keys", "strings", "bytes", "text"])
def test_memory_is_at_most_four_times_the_file(tmp_path, kind, everything):
    path = tmp_path / "m.gguf"
    entries: dict[str, list[Entry]] = {
        "keys": [key(f"k{i:05d}", 1, U8) for i in range(65_536)],
        "strings": [array("s", STRING, [b""] * 400_000)],
        "bytes": [array("b", U8, [1] * 1_000_000)],
        "text": [key(f"t{i}", "\U0001f600" + "x" * 1_000_000) for i in range(4)],
    }
    path.write_bytes(Gguf(entries[kind]).bytes())
    assert grown(path, everything=everything) <= 4 * path.stat().st_size + (16 << 20)


def test_a_lazy_array_costs_nothing_until_it_is_read(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(Gguf([array("s", STRING, [b"token"] * 200_000)]).bytes())
    assert grown(path, everything=False) < 100_000
