"""How long GGUF headers with a large vocabulary, or with as many tensors as may be, take to read.

    python bench/gguf_header.py        two made-up files: 128k tokens, 280k merges, 300 tensors in
                                       one, 65,536 tensors in the other
    python bench/gguf_header.py FILE   a real one

Prints the best of several runs and exits with 1 when a made-up file takes more than its limit,
150 and 300 ms.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyllm.gguf import GGUFFile, StringArray

TOKENS, MERGES, TENSORS = 128_000, 280_000, 300
MOST_TENSORS = 65_536
RUNS = 7


@dataclass(frozen=True)
class Header:
    """A file that is made for the measurement; opening it may take `limit_ms`."""

    name: str
    limit_ms: float
    make: Callable[[], bytes]


def main() -> int:
    parser = argparse.ArgumentParser(description="Time of reading a GGUF header.")
    parser.add_argument("file", nargs="?", help="a GGUF file; default: two made for this")
    options = parser.parse_args()
    if options.file is not None:
        report(Path(options.file))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        slow = [
            header.name for header in MADE_UP if measured(header, Path(folder)) > header.limit_ms
        ]
    for name in slow:
        print(f"{name}: over its limit")
    return 1 if slow else 0


def measured(header: Header, folder: Path) -> float:
    path = folder / f"{header.name}.gguf"
    path.write_bytes(header.make())
    return report(path)


def report(path: Path) -> float:
    """Prints the times in milliseconds; returns that of opening the file."""
    opened = min(milliseconds(open_only, path) for _ in range(RUNS))
    listed = min(milliseconds(open_and_list, path) for _ in range(RUNS))
    print(f"{path.name}: {path.stat().st_size / 2**20:.1f} MiB")
    print(f"  open                               {opened:7.1f} ms")
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


def many_tensors() -> bytes:
    """Tensors of one F32 number each, 32 bytes apart."""
    infos = (text(f"t{i:05d}") + struct.pack("<IQIQ", 1, 1, 0, 32 * i) for i in range(MOST_TENSORS))
    header = struct.pack("<4sIQQ", b"GGUF", 3, MOST_TENSORS, 1)
    architecture = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    raw = header + architecture + b"".join(infos)
    return raw + bytes(-len(raw) % 32 + 32 * MOST_TENSORS)


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def string_array(values: list[str]) -> bytes:
    return struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))


MADE_UP = [
    Header("large-vocabulary", 150.0, large_header),
    Header("65536-tensors", 300.0, many_tensors),
]

if __name__ == "__main__":
    sys.exit(main())
