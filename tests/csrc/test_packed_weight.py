"""Weights packed on first touch: same bytes as at once, whoever touches them; honest failures."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyllm import _core
from tests.support.core_program import ProgramBuilder, run_rows
from tests.support.weight_bytes import BLOCKS, random_weight

ROWS, COLS = 37, 512  # the last tile has 5 rows
BEFORE = 999  # bytes in front of the weight: nothing in a file is aligned


class Stored:
    """A random weight, and the same in a file from which it is packed lazily."""

    def __init__(self, path: Path, name: str = "Q4_K", rows: int = ROWS, cols: int = COLS) -> None:
        self.eager = random_weight(name, rows, cols)
        self.path = path
        self.raw = self.eager.unpack().tobytes()
        path.write_bytes(bytes(BEFORE) + self.raw + b"behind")

    def lazy(self) -> _core.PackedTensor:
        with self.path.open("rb") as file:
            source = _core.WeightFile(file.fileno())  # keeps a descriptor of its own
        w = self.eager
        return _core.PackedTensor.from_file(w.type, w.rows, w.cols, source, BEFORE)


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path / "weights")


def product(weight: _core.PackedTensor, tokens: int = 3, threads: int = 1) -> Any:
    """Rows of W x for made-up tokens, and the program that computed them."""
    builder = ProgramBuilder(max_tokens=tokens)
    x = builder.rows(np.random.default_rng(0).normal(size=(tokens, weight.cols)))
    (y,) = builder.op("linear", [x], [weight.rows], [None, weight, None], eps=0.0, combine="none")
    program = builder.build(threads=threads)
    program.columns["tokens"][:tokens] = range(tokens)
    program.columns["positions"][:tokens] = range(tokens)
    program.columns["seq_starts"][:2] = [0, tokens]
    return program, lambda: (program.step(tokens, 1, 0), program.read(y, tokens))[1]


@pytest.mark.parametrize("name", BLOCKS)
def test_lazy_packing_equals_packing_at_once(isa: str, name: str, tmp_path: Path) -> None:
    stored = Stored(tmp_path / "weights", name)
    assert stored.lazy().unpack().tobytes() == stored.raw
    _, at_once = product(stored.eager)
    _, lazily = product(stored.lazy())
    for _ in range(2):  # from tiles that are not kept, then from those that are
        np.testing.assert_array_equal(lazily(), at_once())


def test_tiles_are_read_once_and_only_when_needed(stored: Stored) -> None:
    weight = stored.lazy()
    weight.ensure(0, 1)
    damaged = bytearray(stored.path.read_bytes())
    row_bytes = len(stored.raw) // ROWS
    damaged[BEFORE : BEFORE + 16 * row_bytes] = bytes(16 * row_bytes)
    with stored.path.open("r+b") as file:
        file.write(damaged)
    assert weight.unpack().tobytes() == stored.raw  # the first tile is not read again


def test_threads_that_touch_the_same_tiles(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "weights", rows=16 * 200)
    weight = stored.lazy()
    start = threading.Barrier(4)

    def touch() -> None:
        start.wait()
        for tile in range(200):
            weight.ensure(tile, tile + 1)

    threads = [threading.Thread(target=touch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert weight.unpack().tobytes() == stored.raw


def test_a_tied_table_serves_rows_and_products(stored: Stored) -> None:
    """Rows are the same before and after the product has packed their tile."""
    shared = stored.lazy()
    tokens = [0, 36, 17, 16]
    results = []
    for weight in (shared, stored.eager):
        builder = ProgramBuilder(max_tokens=len(tokens))
        (x,) = builder.op("embed", [], [COLS], [weight], scale=1.0)
        (y,) = builder.op("linear", [x], [ROWS], [None, weight, None], eps=0.0, combine="none")
        program = builder.build(threads=2)
        program.columns["tokens"][: len(tokens)] = tokens
        program.columns["positions"][: len(tokens)] = range(len(tokens))
        program.columns["seq_starts"][:2] = [0, len(tokens)]
        for _ in range(2):
            program.step(len(tokens), 1, 0)
            results.append((program.read(x, len(tokens)), program.read(y, len(tokens))))
    for rows, products in results[1:]:
        np.testing.assert_array_equal(rows, results[0][0])
        np.testing.assert_array_equal(products, results[0][1])


def test_a_file_cut_short_fails_the_step_not_the_process(stored: Stored) -> None:
    _, run = product(stored.lazy(), threads=2)
    whole = stored.path.read_bytes()
    with stored.path.open("r+b") as file:
        file.truncate(BEFORE + 10)
    with pytest.raises(RuntimeError, match=r"cannot be read any more \(it was cut short\)"):
        run()
    stored.path.write_bytes(whole)  # the same file, whole again
    np.testing.assert_array_equal(run(), product(stored.eager)[1]())


@pytest.mark.parametrize(("tokens", "steps"), [(3, 2), (40, 1)])
def test_what_is_kept_needs_the_file_no_more(stored: Stored, tokens: int, steps: int) -> None:
    """The second step keeps every tile, the first only when it has many tokens."""
    _, run = product(stored.lazy(), tokens=tokens)
    first = run()
    for _ in range(steps - 1):
        run()
    with stored.path.open("r+b") as file:
        file.truncate(0)
    np.testing.assert_array_equal(run(), first)


def test_a_first_step_with_few_tokens_keeps_nothing(stored: Stored) -> None:
    _, run = product(stored.lazy())
    run()
    with stored.path.open("r+b") as file:
        file.truncate(0)
    with pytest.raises(RuntimeError, match="cannot be read any more"):
        run()


@pytest.mark.parametrize(("gate", "up"), [("Q4_0", "F16"), ("Q4_K", "F16"), ("F16", "Q4_0")])
def test_a_pair_of_unlike_types_fits_the_scratch_of_tiles_that_are_not_kept(
    gate: str, up: str, tmp_path: Path
) -> None:
    rows, cols, tokens = 1024, 2048, 8
    stored = [Stored(tmp_path / name, name, rows, cols) for name in (gate, up)]

    def gated(weights: list[_core.PackedTensor]) -> Any:
        builder = ProgramBuilder(max_tokens=tokens)
        x = builder.rows(np.random.default_rng(0).normal(size=(tokens, cols)))
        places = [None, weights[0], None, weights[1], None]
        (y,) = builder.op("linear", [x], [rows], places, eps=0.0, combine="silu_mul")
        program = builder.build(threads=2)
        run_rows(program, range(tokens))
        return program.read(y, tokens)

    at_once = gated([weight.eager for weight in stored])
    np.testing.assert_array_equal(gated([weight.lazy() for weight in stored]), at_once)


def test_a_descriptor_must_be_open() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        _core.WeightFile(-1)


def test_tiles_outside_are_refused(stored: Stored) -> None:
    with pytest.raises(ValueError, match="no such tiles"):
        stored.lazy().ensure(0, 4)
