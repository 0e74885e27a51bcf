"""The types cffi reads at start are those of the C headers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pyllm.c_types import ffi

ROOT = Path(__file__).parents[2]


def test_the_generated_module_is_that_of_the_headers() -> None:
    command = [sys.executable, str(ROOT / "scripts/c-types"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_structures_have_the_headers_fields() -> None:
    names = [name for name, _ in ffi.typeof("pyllm_type").fields]
    assert names == ["id", "block_elems", "block_bytes", "has_encoder", "codebook_size", "name"]
    assert ffi.sizeof("pyllm_strings") == 32
