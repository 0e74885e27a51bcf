"""The worker team, seen through programs: equal results, sleeping workers, resizing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pyllm import _core
from tests.support.child_process import environment
from tests.support.core_program import ProgramBuilder, pack_f32, run_rows
from tests.support.thread_count import thread_count


def long_program(threads: int, n_ops: int = 60) -> tuple[_core.Program, tuple[int, int, str]]:
    """Many small ops: a barrier every microsecond."""
    rng = np.random.default_rng(0)
    builder = ProgramBuilder(max_tokens=9)
    x = builder.rows(rng.normal(size=(9, 40)))
    for _ in range(n_ops):
        (normed,) = builder.op("rms_norm", [x], [40], [np.ones(40, np.float32)], eps=1e-6, group=0)
        matrix = pack_f32(rng.normal(size=(40, 40)) / 7)
        weights = [None, matrix, None]
        (y,) = builder.op("linear", [normed], [40], weights, eps=0.0, combine="none")
        (x,) = builder.op("add", [y, x], [40])
    return builder.build(threads=threads), x


def run(program: _core.Program, value: tuple[int, int, str]) -> np.ndarray:
    run_rows(program, np.arange(9))
    return program.read(value, 9)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_thousands_of_barriers_give_one_result(threads: int) -> None:
    program, value = long_program(1)
    expected = run(program, value)
    program, value = long_program(threads)
    for _ in range(25):
        np.testing.assert_array_equal(run(program, value), expected)


def test_sleeping_workers_wake_up() -> None:
    program, value = long_program(3)
    first = run(program, value)
    time.sleep(0.2)  # far beyond spinning and yielding
    np.testing.assert_array_equal(run(program, value), first)


def test_workers_can_be_added_and_removed() -> None:
    program, value = long_program(1)
    expected = run(program, value)
    for threads in (4, 2, 2, 1, 3):
        program.set_threads(threads)
        assert program.threads == threads
        np.testing.assert_array_equal(run(program, value), expected)


@pytest.mark.parametrize(("n", "n_batch"), [(1, 3), (3, 1), (2, 4)])
def test_a_part_of_the_team_runs_steps_of_one_token(n: int, n_batch: int) -> None:
    program, value = long_program(1)
    expected = run(program, value)
    program.set_threads(n, n_batch)
    assert (program.threads, program.threads_batch) == (n, n_batch)
    before = thread_count()
    for round_ in range(25):
        np.testing.assert_array_equal(run(program, value), expected)
        for token in range(round_ % 4):  # also none: the same part again, and one after the other
            run_rows(program, [token])
            np.testing.assert_array_equal(program.read(value, 1), expected[token : token + 1])
    assert thread_count() == before


def test_workers_left_out_for_long_wake_up() -> None:
    program, value = long_program(1)
    expected = run(program, value)
    program.set_threads(1, 3)
    for _ in range(2):
        for _ in range(300):
            run_rows(program, [0])
        time.sleep(0.2)  # far beyond spinning and yielding
        np.testing.assert_array_equal(run(program, value), expected)


def test_a_team_of_another_part_is_the_same_team() -> None:
    program, value = long_program(4)
    expected = run(program, value)
    before = thread_count()
    for n, n_batch in ((1, 4), (4, 2), (4, 4)):
        program.set_threads(n, n_batch)
        assert thread_count() == before
        np.testing.assert_array_equal(run(program, value), expected)


@pytest.mark.parametrize("threads", [0, -3, 1025])
def test_impossible_thread_counts_are_refused(threads: int) -> None:
    with pytest.raises(ValueError, match="threads must be between 1 and 1024"):
        long_program(threads)
    program, value = long_program(2)
    expected = run(program, value)
    with pytest.raises(ValueError, match="threads must be between 1 and 1024"):
        program.set_threads(threads)
    for n, n_batch in ((threads, 2), (2, threads)):
        with pytest.raises(ValueError, match="threads must be between 1 and 1024"):
            program.set_threads(n, n_batch)
    assert (program.threads, program.threads_batch) == (2, 2)
    np.testing.assert_array_equal(run(program, value), expected)


def test_steps_release_the_interpreter_and_take_turns() -> None:
    """Two Python threads step the same program and set the same columns: each step is whole."""
    program, value = long_program(2)
    expected = run(program, value)
    results: list[np.ndarray] = []

    def repeat() -> None:
        for _ in range(20):
            program.step(9, 1, 0)
            results.append(program.read(value, 9))

    workers = [threading.Thread(target=repeat) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 40
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_programs_come_and_go() -> None:
    """Workers end with their program; 200 teams of 4 would otherwise hit the thread limit."""
    before = thread_count()
    for _ in range(200):
        long_program(4, n_ops=1)
    assert thread_count() <= before + 1


TOO_MANY_THREADS = """
import resource
from pathlib import Path
from pyllm import _core
from tests.csrc.test_thread_pool import long_program, run

program, value = long_program(1, n_ops=2)
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * 4096 + (200 << 20)  # stacks of 8 MiB each: room for some 20 threads
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    program.set_threads(500)
except RuntimeError as error:
    print(error)
print(program.threads, run(program, value).shape)
"""


@pytest.mark.skipif("PYLLM_SANITIZED" in os.environ, reason="sanitizers reserve address space")
def test_threads_the_system_refuses_are_an_error_that_changes_nothing() -> None:
    command = [sys.executable, "-c", TOO_MANY_THREADS]
    result = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    lines = result.stdout.splitlines()
    assert "of 500 threads could be started; ask for fewer" in lines[0], result.stderr
    assert lines[1] == "1 (9, 40)"
