"""Environment of a Python started by a test."""

from __future__ import annotations

import os
import sys


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with `changes`; imports find what they find here.

    The tests run on the installed package as well as on a checkout, so no test may name a folder.
    """
    path = os.pathsep.join(place for place in sys.path if place)
    return {**os.environ, "PYTHONPATH": path, **changes}
