"""How to start the `pyllm` that these tests import, installed or not, in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyllm

COMMAND = (sys.executable, "-m", "pyllm")


def environment(**changes: str) -> dict[str, str]:
    """The environment of this process with `changes`, in which `import pyllm` finds the same."""
    place = str(Path(pyllm.__file__).parents[1])
    path = os.pathsep.join([place, *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    return {**os.environ, "PYTHONPATH": path, **changes}
