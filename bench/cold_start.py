"""From the start of a process to its first token, page cache warm, alternating with peers.

    python bench/cold_start.py MODEL
    python bench/cold_start.py MODEL --packed-cache --peer "llama-simple -m {model} -n 1 {prompt}"

A peer that echoes the prompt shows its first byte too early: compare "end", one token each.
"""

from __future__ import annotations

import argparse
import statistics

from processes import Run, ours, peer, run, warm


def main() -> None:
    parser = argparse.ArgumentParser(description="Process start to first token.")
    parser.add_argument("model")
    parser.add_argument("--packed-cache", action="store_true", help="measure it beside the default")
    parser.add_argument("--peer", action="append", default=[], metavar="COMMAND")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    commands = {"pyllm": ours(options.model, 1)}
    if options.packed_cache:
        commands["pyllm --packed-cache"] = ours(options.model, 1, packed_cache=True)
    for template in options.peer:
        commands[template.split()[0].rsplit("/", 1)[-1]] = peer(template, options.model, 1)
    warm(options.model)
    for command in commands.values():  # writes the packed cache, loads libraries
        run(command)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, command in commands.items():
            runs[name].append(run(command))
    print(f"{'':24} first byte s   end s  (min - max)    peak MB")
    for name, done in runs.items():
        print(_row(name, done))


def _row(name: str, runs: list[Run]) -> str:
    ends = [run.end_s for run in runs]
    first = statistics.median(run.first_byte_s for run in runs)
    peak = max(run.peak for run in runs) / 1e6
    spread = f"({min(ends):.2f} - {max(ends):.2f})"
    return f"{name:24} {first:12.2f} {statistics.median(ends):7.2f}  {spread} {peak:9.0f}"


if __name__ == "__main__":
    main()
