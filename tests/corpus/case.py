"""One row of the corpus: how to make the file and what must happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.corpus.builder import Gguf

__all__ = ["Case", "Make", "Stage", "write"]

# How far a file gets: header, hyper-parameters, recorded architecture, model ready to run.
Stage = Literal["open", "config", "record", "load"]
Make = Callable[[Path], Path]  # an empty folder → the file to open


@dataclass(frozen=True)
class Case:
    """`message` is a regular expression the error must match; None: the file must load.

    row      "A-38"; several cases may share a row
    stage    the last step to try; an error is allowed, and expected, at any step up to it
    error    name of the exception class, exactly
    max_ms   bound on the processor time of the whole attempt
    max_mib  bound on the memory it adds, at its highest
    warning  a regular expression that one of the file's warnings must match
    """

    row: str
    name: str
    make: Make
    message: str | None
    stage: Stage = "open"
    error: str = "ModelFileError"
    max_ms: int = 200
    max_mib: int = 64
    warning: str = ""

    @property
    def id(self) -> str:
        return f"{self.row} {self.name}"


def write(content: bytes | Gguf, name: str = "model.gguf") -> Make:
    """Makes a file with these bytes."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.bytes() if isinstance(content, Gguf) else content)
        return path

    return make
