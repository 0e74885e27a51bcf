"""docs/security.md names a test for every row, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = range(12, 37)  # requests and the server; files of models are in SECURITY.md


def test_every_row_is_there_and_names_a_test() -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
    assert {int(row[1]) for row in rows} == set(ROWS)
    assert all("test_" in row[-2] or "assert_" in row[-2] for row in rows)


def test_every_test_that_is_named_exists() -> None:
    files = list((ROOT / "tests").rglob("*.py"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    names = {file.name for file in files}
    for name in re.findall(r"`[\w/]*?((?:test|assert)_\w+(?:\.py)?)`", PAGE):
        found = name in names if name.endswith(".py") else f"def {name}(" in text
        assert found, name
