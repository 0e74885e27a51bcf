"""The benches outlive changes of what they measure: they import, compile and find their texts."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
PEERS = ("llama_cpp", "matplotlib", "tokenizers")  # need not be here
COMPILER = shutil.which("c++")


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCH, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_bench_imports():
    modules = [path.stem for path in BENCH.glob("*.py")]
    assert len(modules) > 30
    run_python(
        f"""
for name in {modules!r}:
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        if error.name not in {PEERS!r}:
            raise
"""
    )


def test_the_edit_of_the_speculation_bench_finds_its_lines():
    run_python("import speculation; speculation.tasks(10)")


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
@pytest.mark.parametrize("source", sorted(path.name for path in BENCH.glob("*.c*")))
def test_every_source_compiles(source):
    standard = "-std=c++20" if source.endswith("cpp") else "-std=c11"
    command = [COMPILER, "-x", "c++" if source.endswith("cpp") else "c", standard, "-march=native"]
    command += ["-w", "-D_GNU_SOURCE", f"-I{ROOT / 'csrc'}", "-fsyntax-only", BENCH / source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
