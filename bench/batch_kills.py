"""`pyllm run-batch` killed with SIGKILL at random times: no line lost, doubled or torn.

    python bench/batch_kills.py MODEL.gguf [--kills 100] [--lines 1000] [--seed 0]

Compares the bytes with those of a run that nobody disturbed. Exit code 1 when they differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.batch_kills import finish, kill_repeatedly, write_job


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        source = write_job(Path(place) / "job.jsonl", given.lines)
        whole, killed = Path(place) / "whole.jsonl", Path(place) / "killed.jsonl"
        finish(given.model, source, whole)
        progressed = kill_repeatedly(given.model, source, killed, given.kills, given.seed)
        finish(given.model, source, killed)
        same = killed.read_bytes() == whole.read_bytes()
    verdict = "the same bytes" if same else "OTHER BYTES"
    print(f"{given.kills} kills, {progressed} of them after progress, seed {given.seed}: {verdict}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
