"""Kernel objects define one table each and nothing the linker could share between instruction sets.

An inline function compiled with AVX-512 flags is a weak symbol; the linker keeps one copy of it
for the whole program, which then may be the one an older CPU runs. So kernel objects may hold no
weak symbols at all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def kernel_objects() -> list[Path]:
    """Objects of the newest build, and of the one for 64-bit Arm where there is one.

    The sanitizers' builds have weak symbols of their own.
    """
    builds = [
        p for p in (ROOT / "build").glob("*") if p.is_dir() and p.name not in ("asan", "aarch64")
    ]
    found = [kernel_objects_in(b) for b in builds]
    newest = max((f for f in found if f), key=lambda f: f[0].stat().st_mtime, default=[])
    return newest + kernel_objects_in(ROOT / "build" / "aarch64")


def kernel_objects_in(build: Path) -> list[Path]:
    return sorted(build.glob("CMakeFiles/pyllm_kernels_*.dir/**/*.o"))


def build_and_name(path: Path) -> str:
    return f"{path.relative_to(ROOT / 'build').parts[0]}-{path.stem}"


OBJECTS = kernel_objects()


def symbols(path: Path) -> list[tuple[str, str]]:
    """(letter, mangled name) of every symbol; W V w v: weak, u: unique, T: text, U: undefined."""
    out = subprocess.run(["nm", str(path)], check=True, capture_output=True, text=True).stdout
    fields = [line.split() for line in out.splitlines()]
    return [(f[-2], f[-1]) for f in fields]


def test_a_build_was_found() -> None:
    if not OBJECTS and not os.environ.get("CI"):
        pytest.skip("no build directory in this checkout: run scripts/build")
    assert OBJECTS
    assert shutil.which("nm")


@pytest.mark.parametrize("path", OBJECTS, ids=build_and_name)
def test_no_symbol_can_be_shared(path: Path) -> None:
    shared = [name for kind, name in symbols(path) if kind in "WVuwv"]
    assert not shared


@pytest.mark.parametrize("path", OBJECTS, ids=build_and_name)
def test_one_table_is_exported(path: Path) -> None:
    isa = path.name.split(".")[0]
    exported = [name for kind, name in symbols(path) if kind.isupper() and kind != "U"]
    assert exported == [f"pyllm_table_{isa}"]


@pytest.mark.parametrize("path", OBJECTS, ids=build_and_name)
def test_no_cpp_runtime_is_needed(path: Path) -> None:
    """Undefined names are C functions and our own tables: no std::, no operator new."""
    undefined = [name for kind, name in symbols(path) if kind == "U"]
    assert not [
        name for name in undefined if name.startswith(("_ZS", "_ZNS", "_ZNKS", "_Zn", "_Zd"))
    ]
