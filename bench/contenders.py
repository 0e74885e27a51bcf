"""The engines of a comparison behind one face: a name, a setting, and a rate for a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from llama_bench import LlamaBench
from speed_test import SpeedTest


class Contender(Protocol):
    """An engine with one setting."""

    @property
    def engine(self) -> str: ...
    @property
    def setting(self) -> str: ...

    def rate(self, test: SpeedTest) -> float:
        """Tokens per second. Raises ChildProcessError when it cannot run."""
        ...

    def close(self) -> None: ...


@dataclass
class Worker:
    """A process with the model loaded: bench/worker.py."""

    engine: str
    setting: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    info: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment},
        )
        self.info = self._read()

    def rate(self, test: SpeedTest) -> float:
        return self.ask({"test": str(test)})

    def ask(self, request: dict[str, Any]) -> float:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildProcessError(f"{self.engine} is gone") from None
        return float(self._read()["rate"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"{self.engine} ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def worker(
    python: str,
    engine: str,
    setting: str,
    model: Path,
    threads: int,
    settings: dict[str, Any],
    environment: dict[str, str] | None = None,
) -> Worker:
    """Starts bench/worker.py. Raises ChildProcessError when the engine does not start."""
    script = str(Path(__file__).with_name("worker.py"))
    command = [python, script, engine, str(model), str(threads), json.dumps(settings)]
    return Worker(engine, setting, command, environment or {})


def pyllm(model: Path, threads: int, settings: dict[str, Any], isa: str | None = None) -> Worker:
    """Our engine in this interpreter, with the instruction set of choice."""
    environment = {} if isa is None else {"PYLLM_ISA": isa}
    return worker(sys.executable, "pyllm", "default", model, threads, settings, environment)


@dataclass
class Binary:
    """A llama-bench that is started for each measurement, which loads and warms up untimed."""

    bench: LlamaBench
    setting: str
    arguments: tuple[str, ...]
    model: Path
    threads: int

    @property
    def engine(self) -> str:
        return self.bench.name

    def rate(self, test: SpeedTest) -> float:
        (rate,) = self.bench.rates(self.model, test, self.threads, self.arguments)
        return rate

    def close(self) -> None:
        """Nothing is kept between measurements."""
