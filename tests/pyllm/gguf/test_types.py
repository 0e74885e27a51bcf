"""The table of tensor types agrees with the gguf package and with the kernels."""

from __future__ import annotations

import gguf
import pytest

from pyllm import kernels
from pyllm.gguf.types import REMOVED_TYPE_IDS, TENSOR_TYPES, runnable_type_names

Q8_1 = 9  # the package counts 40 bytes; the struct has two half floats and 32 bytes


@pytest.mark.parametrize("kind", gguf.GGMLQuantizationType, ids=lambda kind: kind.name)
def test_block_sizes_are_those_of_the_package(kind):
    row = TENSOR_TYPES[int(kind)]
    assert row.name == kind.name
    if kind != Q8_1:
        assert (row.block_elements, row.block_bytes) == gguf.GGML_QUANT_SIZES[kind]


def test_runnable_types_are_those_the_kernels_know():
    known = {row.id: (row.name, row.block_elems, row.block_bytes) for row in kernels.formats()}
    runnable = {
        row.id: (row.name, row.block_elements, row.block_bytes)
        for row in TENSOR_TYPES.values()
        if row.runnable
    }
    assert runnable == known


def test_removed_types_are_not_in_the_table():
    assert not REMOVED_TYPE_IDS & TENSOR_TYPES.keys()
    assert "Q4_K" in runnable_type_names()
    assert "I32" not in runnable_type_names()
