"""Kills `pyllm run-batch` again and again, as nothing can be prepared for: SIGKILL, at any time."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from pyllm.cli import main
from tests.support.batch_files import chat_line, jsonl, text_line
from tests.support.child_process import environment


def write_job(path: Path, lines: int) -> Path:
    """Requests of different lengths, and now and then one that is none."""
    found: list[dict[str, object] | str] = []
    for number in range(lines):
        if number % 10 == 7:
            found.append(f"no request {number}")
        elif number % 3:
            found.append(text_line(f"t{number}", f"Number {number} is", max_tokens=number % 12 + 1))
        else:
            found.append(chat_line(f"c{number}", f"What is {number} + 4?", max_tokens=8))
    path.write_bytes(jsonl(*found))
    return path


def command(model: Path, source: Path, output: Path, *flags: str) -> list[str]:
    words = ["run-batch", "-i", str(source), "-o", str(output), str(model), "-t", "1", *flags]
    return [sys.executable, "-m", "pyllm", *words]


def finish(model: Path, source: Path, output: Path, *flags: str) -> None:
    subprocess.run(
        command(model, source, output, *flags), check=True, env=environment(), capture_output=True
    )


def kill_repeatedly(model: Path, source: Path, output: Path, kills: int, seed: int) -> int:
    """Starts the job and kills it, `kills` times; returns how often it had written something new.

    A killed run gets a few lines done, or none, so that all of them are killed.
    """
    rng = random.Random(seed)
    share = len(source.read_bytes().splitlines()) // kills
    progressed = 0
    words = command(model, source, output, "--max-num-seqs", "2")[3:]  # 8 lines at a time
    for _ in range(kills):
        before = _lines(output)
        process = _started(words)
        _wait(process, output, before + rng.randrange(max(1, share - 4)))
        time.sleep(rng.uniform(0, 0.01))
        process.kill()
        process.join()
        progressed += _lines(output) > before
    return progressed


def _started(words: list[str]) -> BaseProcess:
    """Forked from a process that has imported everything: that takes most of a short run's time."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["pyllm.cli.run_batch", "pyllm.async_llm"])
    process = forks.Process(target=_run, args=(words,), daemon=True)
    process.start()
    return process


def _run(words: list[str]) -> None:
    sys.exit(main(words))


def _wait(process: BaseProcess, output: Path, lines: int) -> None:
    deadline = time.monotonic() + 60
    while _lines(output) < lines:
        assert process.is_alive(), "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _lines(output: Path) -> int:
    return output.read_bytes().count(b"\n") if output.exists() else 0
