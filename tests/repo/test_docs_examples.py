"""Every example in the documentation runs, and every link in it leads somewhere."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyllm.demo import demo_model
from tests.support.child_process import environment

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(page.read_text("utf-8")) if name == language]


def commands(page: Path) -> list[str]:
    """The lines of sh blocks that call pyllm itself; scripts are CI's own business."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("pyllm ")]


PYTHON_PAGES = [name for page, name in zip(PAGES, NAMES, strict=True) if blocks(page, "python")]
COMMANDS = [line for page in PAGES for line in commands(page)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples speak of: all of them the embedded model."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("model.gguf", "small.gguf", "path/to/other.gguf", "models/third.gguf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo_model(), folder / name)
    return folder


@contextlib.contextmanager
def served(arguments: list[str], folder: Path) -> Iterator[str]:
    """The URL of `pyllm serve` while it runs; it must end well when it is told to."""
    command = [sys.executable, "-m", "pyllm", *arguments, "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            lines = iter(server.stdout.readline, "")
            yield next(url[0] for line in lines if (url := re.search(r"http://[\d.:]+", line)))
        finally:
            server.terminate()
            assert server.wait(60) == 0


def test_the_readme_has_examples() -> None:
    assert "README.md" in PYTHON_PAGES
    assert COMMANDS


@pytest.mark.parametrize("name", PYTHON_PAGES)
def test_python_examples_run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a page run in order and share their names, as a reader would type them."""
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"__name__": "example"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for number, code in enumerate(blocks(ROOT / name, "python")):
            exec(compile(code, f"{name}, block {number}", "exec"), names)  # the point of the test
    assert printed.getvalue().strip()


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(line: str, folder: Path) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    if arguments[0] == "serve":
        with served(arguments, folder) as url:
            assert url
    elif arguments[0] == "chat":
        with served(["serve"], folder) as url:
            arguments = [url if word == "http://127.0.0.1:8000" else word for word in arguments]
            run(arguments, folder, "What is 3 + 4?")
    else:
        run(arguments, folder, "")


def run(arguments: list[str], folder: Path, typed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyllm", *arguments],
        cwd=folder,
        env=environment(),
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    targets = [t for t in LINK.findall(page.read_text("utf-8")) if "://" not in t]
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert not missing


def test_the_readme_says_two_commands() -> None:
    """The two scripts the README promises exist and can be run."""
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    scripts = [line.split()[0] for line in lines if line.startswith("scripts/")]
    assert scripts == ["scripts/run", "scripts/test"]
    assert all((ROOT / script).stat().st_mode & 0o100 for script in scripts)
