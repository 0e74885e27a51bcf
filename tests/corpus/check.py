"""Runs one case and says what is wrong: error, text, time, memory, descriptors, mappings."""

from __future__ import annotations

import gc
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from tests.corpus.case import Case, Stage

__all__ = ["attempt", "problems", "unreadable"]

_TRIES = 6  # at most; time and memory are the best of them
# A sanitizer slows Python down five times and keeps freed memory; its builds look for other faults.
_SLACK = 8 if "PYLLM_SANITIZED" in os.environ else 1
# The bounds are against work that grows with the square of a count: 20 times over them at these
# sizes. A busy machine is twice over them; bench/gguf_header.py holds a quiet one to the bound.
_TIME_SLACK = 4 * _SLACK
_MAX_SECONDS = 2.0 * _SLACK  # by the clock: nothing may wait for a pipe or a device
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


@dataclass(frozen=True)
class Outcome:
    """What happened: the exception's class and text ("" and "" when the file loaded), and costs."""

    error: str
    message: str
    warnings: tuple[str, ...]
    ms: float  # this thread's processor time: the clock also counts what other programs do
    seconds: float
    mib: float


def attempt(path: Path, stage: Stage) -> tuple[str, str, tuple[str, ...]]:
    """Opens `path` and goes on to `stage`; (class name, text, warnings) of what came of it."""
    from pyllm.errors import PyLLMError

    try:
        return "", "", _load(path, stage)
    except PyLLMError as error:
        return type(error).__name__, str(error), ()


def _load(path: Path, stage: Stage) -> tuple[str, ...]:
    from pyllm.gguf import GGUFFile

    if stage == "load":
        from pyllm.loader import load_model

        load_model(path, num_threads=1, max_model_len=16, max_num_seqs=1)
        return ()

    with GGUFFile.open(path) as file:
        if stage != "open":
            from pyllm.config import read_config

            config = read_config(file, architectures=_architectures())
            if stage == "record":
                _record(file, config)
        return file.warnings


def _architectures() -> list[str]:
    from pyllm.architectures import builders

    return list(builders())


def _record(file: object, config: object) -> None:
    from pyllm.architectures import builders
    from pyllm.graph.graph import Graph
    from pyllm.graph.weights import Weights

    weights = Weights(file)
    builders()[config.architecture](Graph(), config, weights)
    weights.require_all_used()


def problems(case: Case, folder: Path) -> list[str]:
    """Everything about the case that is not as it must be; empty when all is well."""
    path = case.make(folder)
    _load_modules_once(case.stage)
    gc.collect()
    before = _open_things()
    outcomes = []
    for _ in range(_TRIES):
        outcomes.append(_measured(path, case.stage))
        if outcomes[-1].ms <= case.max_ms and outcomes[-1].mib <= case.max_mib:
            break
    gc.collect()
    found = _wrong_outcome(case, outcomes[-1])
    ms = min(outcome.ms for outcome in outcomes)
    mib = min(outcome.mib for outcome in outcomes)
    if ms > case.max_ms * _TIME_SLACK:
        found.append(f"took {ms:.0f} ms, allowed {_TIME_SLACK} times {case.max_ms}")
    if (seconds := min(outcome.seconds for outcome in outcomes)) > _MAX_SECONDS:
        found.append(f"took {seconds:.1f} s by the clock")
    if mib > case.max_mib * _SLACK:
        found.append(f"used {mib:.0f} MiB, allowed {case.max_mib}")
    if (after := _open_things()) != before:
        found.append(f"leaks: {sorted(set(after) ^ set(before))}")
    return found


def _load_modules_once(stage: Stage) -> None:
    # The first import of NumPy, the kernels and the architectures is not the file's doing.
    attempt(Path("/nonexistent"), stage)
    _architectures()


def _measured(path: Path, stage: Stage) -> Outcome:
    _reset_peak()
    rss = _status_kib("VmRSS")
    start, cpu_start = time.perf_counter(), time.thread_time()
    error, message, warnings = attempt(path, stage)
    ms = (time.thread_time() - cpu_start) * 1000
    seconds = time.perf_counter() - start
    return Outcome(error, message, warnings, ms, seconds, (_status_kib("VmHWM") - rss) / 1024)


def _wrong_outcome(case: Case, outcome: Outcome) -> list[str]:
    if case.message is None:
        if outcome.error:
            return [f"must load, but: {outcome.error}: {outcome.message}"]
        if case.warning and not any(re.search(case.warning, text) for text in outcome.warnings):
            return [f"no warning matches {case.warning!r}: {outcome.warnings}"]
        return []
    if not outcome.error:
        return [f"loaded, but must fail with {case.message!r}"]
    found = []
    if outcome.error != case.error:
        found.append(f"raised {outcome.error}, expected {case.error}: {outcome.message}")
    if not re.search(case.message, outcome.message):
        found.append(f"{outcome.message!r} does not match {case.message!r}")
    return found + unreadable(outcome.message)


def unreadable(message: str) -> list[str]:
    """Why a message may not be shown: several lines, control characters, addresses, length."""
    found = []
    if not message.isprintable():
        found.append(f"not printable: {message!r}")
    if _ADDRESS.search(message):
        found.append(f"shows an address: {message}")
    if len(message) > 1000:
        found.append(f"{len(message)} characters long")
    return found


def _open_things() -> list[str]:
    """What the process has open: descriptors, and mappings of files in the temporary folders."""
    descriptors = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:  # the descriptor that lists the folder
            continue
        descriptors.append(f"fd {entry.name} {target}")
    maps = Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines()
    return descriptors + [line for line in maps if ".gguf" in line]


def _reset_peak() -> None:
    # Linux: writing 5 makes VmHWM start again from the present size.
    Path("/proc/self/clear_refs").write_text("5")


def _status_kib(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(field)
