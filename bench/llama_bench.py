"""Any llama-bench: which of its settings to try, how to ask, and what it answered.

Versions differ in their options, so the help text decides what is tried.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from speed_test import SpeedTest

# name: arguments, first of those whose option the help text has
_SETTINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "default": ((),),
    "no repack": (("--repack", "0"),),
    "run-time repack": (("-rtr", "1"),),
    "no flash attention": (("-fa", "0"),),
    "flash attention": (("-fa", "1"),),
    "no mmap": (("-mmp", "0"), ("-lm", "none")),
    "huge pages": (("-thp", "1"),),
    "no repack, no mmap": (("--repack", "0", "-mmp", "0"), ("--repack", "0", "-lm", "none")),
    "run-time repack, huge pages": (("-rtr", "1", "-thp", "1"),),
}


@dataclass(frozen=True)
class LlamaBench:
    """A binary, given as NAME=PATH[:extra arguments]."""

    name: str
    path: Path
    extra: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LlamaBench:
        """Raises ValueError when the text or the file is not what is wanted."""
        name, _, rest = text.partition("=")
        path, _, extra = rest.partition(":")
        if not name or not Path(path).is_file():
            raise ValueError(f"{text!r} is not NAME=PATH of a llama-bench")
        return cls(name, Path(path), tuple(extra.split()))

    @cached_property
    def help(self) -> str:
        done = subprocess.run([self.path, "--help"], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def has(self, option: str) -> bool:
        """Whether the help text lists this option."""
        words = self.help.replace(",", " ").replace("<", " ").split()
        return option in words

    def settings(self) -> dict[str, tuple[str, ...]]:
        """The settings that this binary understands, by name."""
        found = {}
        for name, ways in _SETTINGS.items():
            for arguments in ways:
                if all(self.has(option) for option in arguments if option.startswith("-")):
                    found[name] = arguments
                    break
        return found

    def command(
        self,
        model: Path,
        test: SpeedTest,
        threads: int,
        setting: Sequence[str] = (),
        repetitions: int = 1,
    ) -> list[str]:
        """The command line; ik_llama.cpp has no -d, but -gp for decoding after a prompt."""
        if test.depth and not self.has("-d"):
            if test.kind != "tg":
                raise ValueError(f"{self.name} cannot do {test}: it has no -d")
            what = ["-p", "0", "-n", "0", "-gp", f"{test.depth},{test.n}"]
        else:
            prompt, generated = (test.n, 0) if test.kind == "pp" else (0, test.n)
            what = ["-p", str(prompt), "-n", str(generated)]
            what += ["-d", str(test.depth)] if test.depth else []
        common = ["-m", str(model), "-t", str(threads), "-r", str(repetitions), "-o", "json"]
        return [str(self.path), *common, *what, *self.extra, *setting]

    def rates(
        self,
        model: Path,
        test: SpeedTest,
        threads: int,
        setting: Sequence[str] = (),
        repetitions: int = 1,
    ) -> list[float]:
        """Tokens per second, one for each repetition. Raises ChildProcessError when it fails."""
        command = self.command(model, test, threads, setting, repetitions)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ChildProcessError(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
        return rates_of(done.stdout)


def rates_of(output: str) -> list[float]:
    """The samples of the one test in llama-bench's JSON, around which old versions print text."""
    text = output[output.index("[") : output.rindex("]") + 1]
    (result,) = json.loads(text)
    samples: list[Any] = result["samples_ts"]
    return [float(x) for x in samples]
