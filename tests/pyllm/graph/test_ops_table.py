"""The four places that know an op agree: table row, C++ header, graph method, NumPy function."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from pyllm.graph.graph import Graph
from pyllm.graph.reference import OPS

OPS_FOLDER = Path(__file__).parents[3] / "csrc" / "ops"


def table_rows() -> set[str]:
    text = (OPS_FOLDER / "ops.def").read_text()
    return set(re.findall(r"^\s*\w+\(\s*(\w+)", text, re.MULTILINE))


def recorded_names() -> set[str]:
    """Graph's methods, each of which appends the op of its own name."""
    methods = inspect.getmembers(Graph, inspect.isfunction)
    return {name for name, _ in methods if not name.startswith("_")}


def test_rows_headers_methods_and_reference_agree() -> None:
    rows = table_rows()
    assert len(rows) >= 8
    assert {path.stem for path in OPS_FOLDER.glob("*.h")} >= rows
    assert recorded_names() == rows
    assert set(OPS) == rows
