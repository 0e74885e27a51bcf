"""One number of sequences after another: ours and every peer's llama-batched-bench, alternating.

What batched.py and engine.py share. First every setting of a peer runs shortly (a shared prompt,
8 tokens); its best one then alternates with pyllm.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bandwidth import Bandwidth
from contenders import Worker
from llama_bench import LlamaBench
from results import append, shown
from traffic import traffic

PROMPT, GENERATE = 128, 64
SCOUT_GENERATE = 8
_SETTINGS: dict[str, tuple[str, ...]] = {
    "default": (),
    "no repack": ("--no-repack",),
    "run-time repack": ("-rtr",),
    "huge pages": ("-thp",),
}


@dataclass(frozen=True)
class Batch:
    """How many sequences, and how long."""

    sequences: int
    generate: int = GENERATE
    shared_prompt: bool = False

    @property
    def context(self) -> int:
        prompts = 1 if self.shared_prompt else self.sequences
        return prompts * PROMPT + self.sequences * (self.generate + 8)


def settings(bench: LlamaBench) -> dict[str, tuple[str, ...]]:
    """The settings that this binary's help text lists."""
    return {name: a for name, a in _SETTINGS.items() if not a or bench.has(a[0])}


def rate_of(bench: LlamaBench, model: Path, threads: int, batch: Batch, setting: str) -> float:
    """Tokens per second of all sequences. Raises ChildProcessError when there is no result."""
    command = [
        str(bench.path.resolve()), "-m", str(model.resolve()),
        "-t", str(threads), "-tb", str(threads),
        "-c", str(batch.context), "-b", "2048", "-ub", "512",
        "-npp", str(PROMPT), "-ntg", str(batch.generate), "-npl", str(batch.sequences),
        *(["-pps"] if batch.shared_prompt else []), *bench.extra, *_SETTINGS[setting],
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # ik_llama.cpp leaves a log where it runs
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    rate = rate_in(done.stdout + done.stderr, batch.sequences)
    if done.returncode or rate is None:
        raise ChildProcessError(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
    return rate


def rate_in(output: str, sequences: int) -> float | None:
    """S_TG of the row of that many sequences: columns PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG."""
    for line in output.splitlines():
        cells = [cell.strip() for cell in line[line.find("|") :].strip("| \n").split("|")]
        if len(cells) == 10 and cells[2] == str(sequences):
            return float(cells[7])
    return None


def best_setting(bench: LlamaBench, model: Path, threads: int, sequences: int) -> str | None:
    """The fastest setting in a short run; None when none runs."""
    rates = {}
    for name in settings(bench):
        batch = Batch(sequences, SCOUT_GENERATE, shared_prompt=True)
        try:
            rates[name] = rate_of(bench, model, threads, batch, name)
        except ChildProcessError as error:
            print(f"left out: {bench.name}, {name}: {error}", file=sys.stderr)
            continue
        print(f"scout: {sequences} × {bench.name}, {name}: {rates[name]:.1f}", file=sys.stderr)
    return max(rates, key=lambda name: rates[name]) if rates else None


class Run:
    """All measurements of one number of sequences.

    test     what the JSON lines call it, before the number: "batch"
    request  what the worker is asked besides the number of sequences and their lengths
    """

    def __init__(
        self, args: argparse.Namespace, sequences: int, test: str, request: dict[str, Any]
    ) -> None:
        self.args, self.sequences, self.test = args, sequences, f"{test}{sequences}"
        lengths = {"sequences": sequences, "prompt": PROMPT, "generate": GENERATE}
        self.request = {**request, **lengths}
        self.ours: list[float] = []
        self.peers: dict[LlamaBench, tuple[str, list[float]]] = {}
        self.bandwidth: list[float] = []

    def measure(self, engine: Worker, bandwidth: Bandwidth) -> None:
        args, batch = self.args, Batch(self.sequences)
        for bench in args.peer:
            setting = best_setting(bench, args.model, args.threads, self.sequences)
            if setting is not None:
                self.peers[bench] = (setting, [])
        for _ in range(args.rounds):
            self.bandwidth.append(bandwidth.gb_per_s(args.threads))
            self.ours.append(engine.ask(self.request))
            for bench, (setting, rates) in self.peers.items():
                rates.append(rate_of(bench, args.model, args.threads, batch, setting))
        self._log()

    def ratios(self) -> dict[str, float]:
        mine = statistics.median(self.ours)
        return {b.name: mine / statistics.median(r) for b, (_, r) in self.peers.items()}

    def share(self) -> float:
        """Of the read bandwidth, were the weights read once a step."""
        needs = traffic(self.args.model)
        step_bytes = needs.weight_bytes + self.sequences * needs.kv_bytes * (PROMPT + GENERATE / 2)
        steps = statistics.median(self.ours) / self.sequences
        return steps * step_bytes / 1e9 / statistics.median(self.bandwidth)

    def _log(self) -> None:
        peers = {
            bench.name: {"setting": setting, "rates": rates, "ratio": self.ratios()[bench.name]}
            for bench, (setting, rates) in self.peers.items()
        }
        append(
            self.args.json,
            {
                "kind": "verdict", "row": self.args.row, "model": self.args.model.stem,
                "test": self.test, "threads": self.args.threads,
                "time": time.time(), "ours": self.ours, "peers": peers, "share": self.share(),
                "bandwidth": self.bandwidth,
            },
        )  # fmt: skip


def table(runs: list[Run]) -> str:
    """Markdown, a row per number of sequences and peer."""
    lines = [
        "| sequences | pyllm tok/s | share of read | peer | its best | ratio | setting |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        start = f"| {run.sequences} | {shown(run.ours)} | {100 * run.share():.0f} % |"
        lines += [
            f"{start} {b.name} | {shown(rates)} | {run.ratios()[b.name]:.2f} | {setting} |"
            for b, (setting, rates) in run.peers.items()
        ] or [f"{start} – | – | – | – |"]
    return "\n".join(lines)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The command line of both scripts."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0] if doc else None)
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        type=LlamaBench.parse,
        metavar="NAME=PATH[:ARGUMENTS]",
    )
    parser.add_argument("--sequences", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--isa", help="instruction set of pyllm (PYLLM_ISA)")
    parser.add_argument("--json", type=Path, help="append measurements to this file")
    parser.add_argument("--row", default="", help="label of the JSON lines")
    return parser


def measure(runs: list[Run], engine: Worker) -> None:
    """All runs, one after another; prints the table and closes the engine."""
    bandwidth = Bandwidth()
    for run in runs:
        run.measure(engine, bandwidth)
    engine.close()
    print(json.dumps(engine.info), file=sys.stderr)
    print(table(runs))
