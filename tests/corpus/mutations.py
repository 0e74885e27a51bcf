"""A valid file cut short, with bits flipped and with bytes replaced (A-70, A-71, A-72)."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.corpus.case import Stage
from tests.corpus.check import attempt, unreadable
from tests.corpus.tiny_model import loadable_model, tiny_model

__all__ = ["Run", "runs"]

_MAX_SECONDS = 5.0  # of one file; typical is a millisecond


@dataclass(frozen=True)
class Run:
    """Many files made from one; `check` answers with how many there were and what was wrong."""

    row: str
    name: str
    check: Callable[[Path], tuple[int, list[str]]]


def runs(num_splices: int = 2_000, seed: int = 0) -> list[Run]:
    return [
        Run("A-70", "cut at every byte of the header", cut_in_header),
        Run("A-70", "cut at random bytes of the data", lambda folder: cut_in_data(folder, seed)),
        Run("A-71", "flip every bit of the header", flip_header_bits),
        Run("A-72", "random splices", lambda folder: splice(folder, num_splices, seed)),
        Run("A-72", "random splices, loaded", lambda folder: load(folder, num_splices // 10, seed)),
    ]


def cut_in_header(folder: Path) -> tuple[int, list[str]]:
    """Every proper prefix of the header must be refused. 2 MB model."""
    file = tiny_model(n_layers=1, n_embd=256, n_ff=512)
    path = folder / "m.gguf"
    path.write_bytes(file.bytes())
    return _cut(path, reversed(range(len(file.header()) + 1)))


def cut_in_data(folder: Path, seed: int, count: int = 1_000) -> tuple[int, list[str]]:
    """A file that ends anywhere inside its data must be refused."""
    file = tiny_model(n_layers=1, n_embd=256, n_ff=512)
    path = folder / "m.gguf"
    content = file.bytes()
    path.write_bytes(content)
    generator = random.Random(seed)
    places = {generator.randrange(len(file.header()), len(content)) for _ in range(count)}
    return _cut(path, iter(sorted(places, reverse=True)))


def _cut(path: Path, sizes: Iterator[int]) -> tuple[int, list[str]]:
    """Cuts the file shorter and shorter."""
    count, found = 0, []
    for size in sizes:
        os.truncate(path, size)
        count += 1
        error, problem = _try(path)
        if problem or not error:
            found.append(f"{size} bytes: {problem or 'loaded'}")
    return count, found


def flip_header_bits(folder: Path) -> tuple[int, list[str]]:
    """With one bit changed a file loads or is refused; nothing else may happen."""
    file = tiny_model(n_layers=1)
    header = len(file.header())
    path = folder / "m.gguf"
    path.write_bytes(file.bytes())
    found = []
    with path.open("r+b", buffering=0) as out:
        for position in range(header):
            (original,) = os.pread(out.fileno(), 1, position)
            for bit in range(8):
                os.pwrite(out.fileno(), bytes([original ^ (1 << bit)]), position)
                if problem := _try(path)[1]:
                    found.append(f"byte {position} bit {bit}: {problem}")
            os.pwrite(out.fileno(), bytes([original]), position)
    return header * 8, found


def splice(folder: Path, count: int, seed: int) -> tuple[int, list[str]]:
    """1 to 64 bytes replaced, inserted or removed, by noise or by another piece of the header."""
    generator = random.Random(seed)
    file = tiny_model(n_layers=1)
    content, header = file.bytes(), len(file.header())
    path = folder / "m.gguf"
    found = []
    for number in range(count):
        path.write_bytes(spliced(content, header, generator))
        if problem := _try(path)[1]:
            found.append(f"splice {number} of seed {seed}: {problem}")
    return count, found


def load(folder: Path, count: int, seed: int) -> tuple[int, list[str]]:
    """The same, but what opens goes on through tokenizer, packing and compilation."""
    generator = random.Random(seed)
    file = loadable_model()
    content, header = file.bytes(), len(file.header())
    path = folder / "m.gguf"
    path.write_bytes(content)
    if (error := _try(path, "load")) != ("", ""):
        return 1, [f"the file before any change: {error}"]
    found = []
    for number in range(count):
        path.write_bytes(spliced(content, header, generator))
        if problem := _try(path, "load")[1]:
            found.append(f"splice {number} of seed {seed}: {problem}")
    return count, found


def spliced(content: bytes, header: int, generator: random.Random) -> bytes:
    """One mutant of `content`, changed within its first `header` bytes."""
    at, size = generator.randrange(header), generator.randint(1, 64)
    other = generator.randrange(header)
    piece = generator.choice((generator.randbytes(size), content[other : other + size], b""))
    removed = generator.choice((0, len(piece), size))
    return content[:at] + piece + content[at + removed :]


def _try(path: Path, stage: Stage = "record") -> tuple[str, str]:
    """(error class, what was wrong with how it ended); any exception but ours is wrong."""
    start = time.perf_counter()
    try:
        error, message, _ = attempt(path, stage)
    except Exception as unexpected:
        return "", f"{type(unexpected).__name__}: {unexpected}"
    seconds = time.perf_counter() - start
    if seconds > _MAX_SECONDS:
        return error, f"took {seconds:.1f} s"
    return error, "; ".join(unreadable(message))
