"""Measurements as JSON lines: what the benches append and the reports read."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def append(path: Path | None, line: Line) -> None:
    """Adds a line; nothing when no file is wanted."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as out:
            out.write(json.dumps(line) + "\n")


def read(path: Path) -> list[Line]:
    """The lines of a file; none when it does not exist."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def of_kind(lines: Iterable[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["kind"] == kind]


def shown(rates: Sequence[float]) -> str:
    """Median and spread."""
    return f"{statistics.median(rates):.2f} ({min(rates):.2f} to {max(rates):.2f})"
