"""Runs the goal table: each row one alternated run, best peer against pyllm.

    python bench/goals.py --llama ~/llama.cpp/bin --ik ~/ik/bin --llama-avx2 ~/llama2/bin \
        --ik-avx2 ~/ik2/bin --models bench/models --json goals.jsonl

Rows that the JSON file has already are only printed; --again measures them anew, and --only picks
rows by a part of their name. Models that are missing are made first. --through CMD runs each row
as CMD ROW…, for example to have the machine alone.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

from goal_rows import ROWS, Goal, Row
from results import Line, of_kind, read

BENCH = Path(__file__).parent


def model_path(args: argparse.Namespace, row: Row) -> Path:
    path: Path = args.models / f"{row.model}.gguf"
    return path


def make_model(path: Path) -> None:
    shape, _, mix = path.stem.rpartition("-")
    script = str(BENCH / "make_model.py")
    subprocess.run([sys.executable, script, shape, mix, str(path)], check=True)


def command(args: argparse.Namespace, row: Row) -> list[str]:
    """The command line of a row."""
    line = [sys.executable, str(BENCH / row.script), str(model_path(args, row))]
    if not row.goals:
        return [*line, *row.flags]  # the scripts for start and memory have their own reports
    binary = "llama-bench" if row.script == "compare.py" else "llama-batched-bench"
    folders = {"llama.cpp": args.llama, "ik": args.ik}
    if row.avx2:
        folders = {"llama.cpp": args.llama_avx2, "ik": args.ik_avx2}
    for name in row.peers:
        if folders[name] is not None:
            line += ["--peer", f"{name}={folders[name] / binary}"]
    if row.script == "compare.py":
        line += ["--tests", *(goal.test for goal in row.goals)]
    line += ["--threads", str(args.threads), "--json", str(args.json), "--row", row.name]
    return [*line, *row.flags, *(["--isa", "avx2"] if row.avx2 else [])]


def verdicts(path: Path, row: Row) -> dict[str, Line]:
    """The latest verdict for each test of a row."""
    lines = of_kind(read(path), "verdict")
    return {line["test"]: line for line in lines if line["row"] == row.name}


def summary(row: Row, goal: Goal, line: Line) -> str:
    """A row of the printed table."""
    peers = line["peers"]
    best = min(peers, key=lambda name: peers[name]["ratio"]) if peers else None
    ours = statistics.median(line["ours"])
    limit = "bandwidth" if not goal.test.startswith("pp") else "int8 peak"
    share = "–" if line["share"] is None else f"{100 * line['share']:.0f} % of {limit}"
    wanted = f"≥ {goal.ratio} ×" + (f", ≥ {100 * goal.share:.0f} %" if goal.share else "")
    if best is None:
        return f"| {row.name} | {ours:.2f} | – | – | – | {wanted} | {share} | not compared |"
    ratio = peers[best]["ratio"]
    reached = ratio >= goal.ratio and (goal.share is None or (line["share"] or 0) >= goal.share)
    theirs = f"{statistics.median(peers[best]['rates']):.2f} ({best})"
    return (
        f"| {row.name} | {ours:.2f} | {theirs} | {peers[best]['setting']} | {ratio:.2f} "
        f"| {wanted} | {share} | {'reached' if reached else 'missed'} |"
    )


def run(args: argparse.Namespace, row: Row) -> None:
    """Measures a row, unless its script or its results say otherwise."""
    found = verdicts(args.json, row)
    if row.goals and not args.again and all(goal.test in found for goal in row.goals):
        return
    if not (BENCH / row.script).exists():
        print(f"{row.name}: there is no bench/{row.script}", file=sys.stderr)
        return
    path = model_path(args, row)
    if not path.exists():
        make_model(path)
    line = [*shlex.split(args.through), *command(args, row)]
    print(f"$ {shlex.join(line)}", file=sys.stderr, flush=True)
    if not args.dry_run:
        output = None if not row.goals else subprocess.DEVNULL
        subprocess.run(line, check=False, stdout=output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("--llama", "--ik", "--llama-avx2", "--ik-avx2"):
        parser.add_argument(name, type=Path, help="folder with llama-bench")
    parser.add_argument("--models", type=Path, default=BENCH / "models")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of row names")
    parser.add_argument("--again", action="store_true", help="measure rows that have results")
    parser.add_argument("--through", default="", help="command that each row is run through")
    parser.add_argument("--dry-run", action="store_true", help="print commands only")
    args = parser.parse_args()
    print("| row | pyllm | best peer | its setting | ratio | goal | share | |")
    print("|---|---|---|---|---|---|---|---|")
    for row in ROWS:
        if not any(part in row.name for part in args.only):
            continue
        try:
            run(args, row)
        except subprocess.CalledProcessError as error:
            print(f"{row.name}: {error}", file=sys.stderr)
        found = verdicts(args.json, row)
        for goal in row.goals:
            if goal.test in found:
                print(summary(row, goal, found[goal.test]), flush=True)


if __name__ == "__main__":
    main()
