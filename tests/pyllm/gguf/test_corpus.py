"""Every malformed container of the corpus gives the stated error within its bounds."""

from __future__ import annotations

import pytest

from tests.corpus import container, metadata, mutations, offsets, places, tensors
from tests.corpus.case import Case
from tests.corpus.check import problems

CASES = [
    case for module in (container, metadata, offsets, places, tensors) for case in module.cases()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_row(case: Case, tmp_path) -> None:
    assert problems(case, tmp_path) == []


def test_rows_have_unique_names() -> None:
    names = [case.id for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_every_row_of_the_container_is_there() -> None:
    rows = {case.row for case in CASES} | {run.row for run in mutations.runs()}
    numbers = [*range(1, 17), *range(20, 31), *range(32, 51), 51, 52, 53, 54, 70, 71, 72]
    assert {f"A-{number:02d}" for number in numbers} == rows


def test_file_cut_at_every_byte_of_the_header(tmp_path) -> None:
    count, found = mutations.cut_in_header(tmp_path)
    assert found == []
    assert count > 2000


def test_file_cut_at_1000_bytes_of_the_data(tmp_path) -> None:
    count, found = mutations.cut_in_data(tmp_path, seed=1)
    assert found == []
    assert count > 990


@pytest.mark.slow
def test_every_bit_of_the_header_flipped(tmp_path) -> None:
    count, found = mutations.flip_header_bits(tmp_path)
    assert found == []
    assert count > 10_000


def test_random_splices_loaded_in_full(tmp_path) -> None:
    count, found = mutations.load(tmp_path, count=300, seed=3)
    assert found == []
    assert count == 300


def test_random_splices(tmp_path) -> None:
    count, found = mutations.splice(tmp_path, count=1000, seed=7)
    assert found == []
    assert count == 1000
