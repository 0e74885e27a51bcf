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
@pytest.mark.parametrize("source", ["invariance_cost.cpp", "barrier.cpp"])
def test_a_bench_of_kernels_compiles(source):
    command = [COMPILER, "-std=c++20", "-march=native", "-w", f"-I{ROOT / 'csrc'}", "-fsyntax-only"]
    done = subprocess.run([*command, BENCH / source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
