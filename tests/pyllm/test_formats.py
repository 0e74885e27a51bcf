"""The table of weight types and the hand-over of codebooks; decoding is in tests/csrc."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pyllm import native
from pyllm.formats import find_format, formats, prepare, row_bytes
from pyllm.gguf.types import TENSOR_TYPES
from tests.support.child_process import environment

FORMATS = formats()


def test_formats_are_keyed_by_id_and_name() -> None:
    assert len({f.id for f in FORMATS}) == len({f.name for f in FORMATS}) == len(FORMATS)
    for fmt in FORMATS:
        assert row_bytes(fmt.id, 768) == row_bytes(fmt.name, 768)
        assert row_bytes(fmt.id, 768) == 768 // fmt.block_elems * fmt.block_bytes
        assert row_bytes(fmt.id, 0) == 0


@pytest.mark.parametrize("unknown", [-1, 4, 36, 1000, "q4_k", ""])
def test_an_unknown_type_is_named(unknown: int | str) -> None:
    for call in (find_format, prepare, lambda key: row_bytes(key, 256)):
        with pytest.raises(ValueError, match=f"{unknown!r} is not a weight type"):
            call(unknown)


@pytest.mark.parametrize(("name", "cols"), [("Q4_K", 128), ("Q4_0", 33), ("MXFP4", -32)])
def test_partial_blocks_are_refused(name: str, cols: int) -> None:
    with pytest.raises(ValueError, match=f"{cols} columns are not a multiple of"):
        row_bytes(name, cols)


def test_only_the_low_bit_i_quants_need_a_codebook() -> None:
    assert {f.name for f in FORMATS if f.codebook_size} == {
        "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S",
    }  # fmt: skip


def test_a_codebook_cannot_be_replaced() -> None:
    prepare("IQ2_XXS")
    other = native.ffi.new("int8_t[2048]")
    assert native.lib.pyllm_set_codebook(16, other, 2048) == -6


def test_without_its_codebook_a_type_is_refused_not_guessed() -> None:
    script = (
        "from pyllm.native import ffi, lib, last_error\n"
        "data, out = ffi.new('uint8_t[66]'), ffi.new('float[256]')\n"
        "print(lib.pyllm_dequantize(16, data, 66, 1, 256, out, 1024, 1), last_error())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "-5 IQ2_XXS needs its codebook first\n"


def test_the_file_reader_agrees_with_the_kernels() -> None:
    runnable = {
        t.id: (t.name, t.block_elements, t.block_bytes) for t in TENSOR_TYPES.values() if t.runnable
    }
    assert runnable == {f.id: (f.name, f.block_elems, f.block_bytes) for f in FORMATS}
