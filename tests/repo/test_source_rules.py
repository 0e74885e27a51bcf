"""Rules about the sources that no linter states: who may import what, and what nobody may."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "pyllm").rglob("*.py"))

# module: the only files that may import it
SOLE_IMPORTERS = {
    "pyllm._core": {
        "pyllm/sampling/dry.py",
        "pyllm/graph/compile.py",
        "pyllm/packed_cache.py",
        "pyllm/kv/prefix_segment.py",
    },
    "jinja2": {
        "pyllm/tokenizer/chat_template.py",
        "pyllm/tokenizer/template_compiler.py",
        "pyllm/tokenizer/template_sandbox.py",
    },
    "pickle": set(),  # a model file must never be able to run code
    "marshal": set(),
    "shelve": set(),
    "ctypes": set(),  # cffi is how the project calls C
}
FORBIDDEN_CALLS = {"eval", "exec", "__import__"}


def imported_modules(tree: ast.AST) -> set[str]:
    """Every module named by an import statement; `from a import b` counts as a and a.b."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def test_there_are_sources() -> None:
    assert len(SOURCES) > 20


@pytest.mark.parametrize("module", SOLE_IMPORTERS)
def test_only_its_owner_imports(module: str) -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(m == module or m.startswith(f"{module}.") for m in imported_modules(parse(path)))
    }
    assert importers <= SOLE_IMPORTERS[module]


def test_nothing_evaluates_text() -> None:
    for path in SOURCES:
        calls = {
            node.func.id
            for node in ast.walk(parse(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & FORBIDDEN_CALLS, path


def test_intrinsics_live_in_simd_only() -> None:
    vector = re.compile(r"\b(_mm\d*_\w+|__m\d+\w*|v\w+q_[fsu]\d+)\b")
    for path in (ROOT / "csrc").rglob("*.[hc]*"):
        if path.parent.name != "simd":
            assert not vector.findall(path.read_text("utf-8")), path


def test_python_headers_stay_in_the_bindings() -> None:
    for path in (ROOT / "csrc").rglob("*.[hc]*"):
        if not path.name.startswith("bindings"):
            text = path.read_text("utf-8")
            assert "Python.h" not in text, path
            assert "pybind11" not in text, path


def test_files_stay_short() -> None:
    """One idea per file: 60-200 lines is the aim, 400 the limit (tables may be longer)."""
    for path in SOURCES:
        assert len(path.read_text("utf-8").splitlines()) <= 400, path
