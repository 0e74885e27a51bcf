"""Runs the corpus as a program: against a checkout, an installed wheel or a sanitizer build.

    python -m tests.corpus                     the pyllm of this checkout
    python -m tests.corpus --installed         the pyllm that is installed, from a checkout's root
    python -m tests.corpus --mutants 1000000   with that many random splices (a night's work)

Prints every failure, then "N passed, N failed"; the exit status is 1 if any failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.corpus import mutations
from tests.corpus.check import problems
from tests.corpus.rows import all_cases


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus")
    parser.add_argument("--installed", action="store_true", help="test the installed pyllm")
    parser.add_argument("--mutants", type=int, default=10_000, help="random splices to try")
    parser.add_argument("--seed", type=int, default=0, help="of the random splices")
    parser.add_argument("--only", default="", help="rows that start so, for example A-3")
    options = parser.parse_args()
    if options.installed:
        checkout = Path(__file__).resolve().parents[2]
        sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != checkout]
    import pyllm

    print(f"testing {Path(pyllm.__path__[0])}")
    passed = failed = 0
    for case in all_cases():
        if not case.row.startswith(options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = problems(case, Path(folder))
        passed, failed = passed + (not found), failed + bool(found)
        for problem in found:
            print(f"{case.id}: {problem}")
    for run in mutations.runs(options.mutants, options.seed):
        if not run.row.startswith(options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            count, found = run.check(Path(folder))
        print(f"{run.row} {run.name}: {count} files, {len(found)} failed")
        passed, failed = passed + count - len(found), failed + len(found)
        for problem in found[:20]:
            print(f"{run.row} {run.name}: {problem}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
