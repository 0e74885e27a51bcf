"""The committed page is what its sources were built to. scripts/webui builds it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

WEBUI = Path(__file__).resolve().parents[4] / "pyllm" / "server" / "webui"
SOURCES = [
    "index.html",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
]


def recorded() -> dict[str, str]:
    lines = (WEBUI / "dist" / "sources.sha256").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def test_the_page_was_built_from_these_sources() -> None:
    files = [path for path in (WEBUI / "src").rglob("*") if path.is_file()]
    found = {
        path.relative_to(WEBUI).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*files, *(WEBUI / name for name in SOURCES)]
    }
    assert found == recorded(), "pyllm/server/webui/dist is stale: run scripts/webui"


def test_every_built_file_is_used() -> None:
    index = (WEBUI / "dist" / "index.html").read_text("utf-8")
    names = {path.name for path in (WEBUI / "dist" / "assets").iterdir()}
    assert names == set(re.findall(r'"\./assets/([^"]+)"', index))


def test_what_is_bundled_comes_with_its_licence() -> None:
    text = (WEBUI / "dist" / "licenses.md").read_text("utf-8")
    for package in ("preact", "@preact/signals", "markdown-it", "highlight.js", "lowlight"):
        assert f"## {package} - " in text
