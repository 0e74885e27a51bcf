"""How long a GGUF header with a large vocabulary takes to read.

    python bench/gguf_header.py        a made-up file: 128k tokens, 280k merges, 300 tensors
    python bench/gguf_header.py FILE   a real one

Prints the best of several runs and exits with 1 when a made-up file takes more than 150 ms.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pyllm.gguf import GGUFFile, StringArray

TOKENS, MERGES, TENSORS = 128_000, 280_000, 300
LIMIT_MS = 150.0
RUNS = 7


def main() -> int:
    parser = argparse.ArgumentParser(description="Time of reading a GGUF header.")
    parser.add_argument("file", nargs="?", help="a GGUF file; default: one made for this")
    options = parser.parse_args()
    if options.file is not None:
        report(Path(options.file))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large-vocabulary.gguf"
        path.write_bytes(large_header())
        return 0 if report(path) <= LIMIT_MS else 1


def report(path: Path) -> float:
    """Prints the times in milliseconds; returns that of opening the file."""
    opened = min(milliseconds(open_only, path) for _ in range(RUNS))
    listed = min(milliseconds(open_and_list, path) for _ in range(RUNS))
    print(f"{path.name}: {path.stat().st_size / 2**20:.1f} MiB")
    print(f"  open                               {opened:7.1f} ms (limit {LIMIT_MS:.0f})")
    print(f"  open, every string array to a list {listed:7.1f} ms")
    return opened


def milliseconds(action: Callable[[Path], None], path: Path) -> float:
    start = time.perf_counter()
    action(path)
    return (time.perf_counter() - start) * 1000


def open_only(path: Path) -> None:
    GGUFFile.open(path).close()


def open_and_list(path: Path) -> None:
    with GGUFFile.open(path) as file:
        for value in file.metadata.values():
            if isinstance(value, StringArray):
                value.tolist()


def large_header() -> bytes:
    """A header like Llama 3's: strings of 1 to 12 bytes, merges of two of them, empty tensors."""
    generator = random.Random(0)
    tokens = [generator.randbytes(generator.randint(1, 6)).hex() for _ in range(TOKENS)]
    merges = [f"{generator.choice(tokens)} {generator.choice(tokens)}" for _ in range(MERGES)]
    tensors = b"".join(
        text(f"blk.{i}.weight") + struct.pack("<IQIQ", 1, 0, 0, 0) for i in range(TENSORS)
    )
    entries = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("tokenizer.ggml.tokens") + string_array(tokens),
        text("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 5, TOKENS) + bytes(4 * TOKENS),
        text("tokenizer.ggml.merges") + string_array(merges),
    ]
    header = struct.pack("<4sIQQ", b"GGUF", 3, TENSORS, len(entries))
    return header + b"".join(entries) + tensors


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def string_array(values: list[str]) -> bytes:
    return struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))


if __name__ == "__main__":
    sys.exit(main())
