"""Speed side by side: pyllm and llama.cpp on one file, alternating in one run.

    python bench/compare.py bench/models/llama1b-Q4_K_M.gguf --peer-python ~/peer/bin/python

The peer lives in an interpreter of its own that has llama-cpp-python. Each of its settings is
tried; the best one per test is what pyllm is compared with. Writes markdown tables; rates are
tokens per second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bandwidth import Bandwidth

TESTS = (("pp", 512), ("tg", 128))
PEER_SETTINGS = {
    "default": {"repack": True, "flash_attention": True},
    "no repack": {"repack": False, "flash_attention": True},
    "no flash attention": {"repack": True, "flash_attention": False},
    "no repack, no flash attention": {"repack": False, "flash_attention": False},
}


@dataclass
class Contender:
    """A worker process that holds one engine with one setting."""

    engine: str
    setting: str
    process: subprocess.Popen[str]
    info: dict[str, Any]

    def seconds(self, test: str, n: int) -> float:
        return float(self._ask({"test": test, "n": n})["seconds"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return _read(self.process)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def _read(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ChildProcessError(f"worker ended with status {process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def start(
    python: str, engine: str, setting: str, settings: dict[str, bool], model: Path, threads: int
) -> Contender | None:
    """Starts a worker and lets it run once; None when the engine cannot run with these settings."""
    worker = str(Path(__file__).with_name("worker.py"))
    command = [python, worker, engine, str(model), str(threads), json.dumps(settings)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        contender = Contender(engine, setting, process, _read(process))
        for test, _ in TESTS:
            contender.seconds(test, 16)  # first use: page faults, lazy set-up
    except (ChildProcessError, BrokenPipeError) as error:
        print(f"left out: {engine}, {setting}, {threads} thread(s): {error}", file=sys.stderr)
        return None
    return contender


Rates = dict[tuple[str, str, str], list[float]]  # (engine, setting, test) -> tokens per second


def measure(contenders: list[Contender], threads: int, rounds: int, bandwidth: Bandwidth) -> Rates:
    """Every contender in turn, `rounds` times, so that a slow minute hits all of them."""
    rates: Rates = defaultdict(list)
    for _ in range(rounds):
        for test, n in TESTS:
            rates["read bandwidth", "GB/s", test].append(bandwidth.gb_per_s(threads))
            for c in contenders:
                rates[c.engine, c.setting, test].append(n / c.seconds(test, n))
    return rates


def best_peer(rates: Rates, test: str) -> tuple[str, list[float]]:
    """The peer's fastest setting for one test, by median."""
    found = {s: r for (engine, s, t), r in rates.items() if engine == "llama.cpp" and t == test}
    setting = max(found, key=lambda s: statistics.median(found[s]))
    return setting, found[setting]


def shown(rates: list[float]) -> str:
    return f"{statistics.median(rates):.2f} ({min(rates):.2f} to {max(rates):.2f})"


def report(model: Path, results: dict[int, Rates]) -> str:
    """The markdown: the comparison first, then every setting that was tried."""
    lines = [
        f"### {model.stem}",
        "",
        "| threads | test | pyllm | llama.cpp, best setting | ratio | setting | read GB/s |",
        "|---|---|---|---|---|---|---|",
    ]
    details = [
        "",
        "| threads | engine | setting | test | median (min to max) |",
        "|---|---|---|---|---|",
    ]
    for threads, rates in results.items():
        for test, n in TESTS:
            ours = rates["pyllm", "default", test]
            setting, theirs = best_peer(rates, test)
            ratio = statistics.median(ours) / statistics.median(theirs)
            gb = statistics.median(rates["read bandwidth", "GB/s", test])
            lines.append(
                f"| {threads} | {test}{n} | {shown(ours)} | {shown(theirs)} | {ratio:.2f} "
                f"| {setting} | {gb:.1f} |"
            )
        for (engine, setting, test), values in rates.items():
            details.append(f"| {threads} | {engine} | {setting} | {test} | {shown(values)} |")
    return "\n".join([*lines, *details])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("--peer-python", required=True, help="interpreter with llama-cpp-python")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--settings", nargs="+", choices=PEER_SETTINGS, default=[*PEER_SETTINGS])
    args = parser.parse_args()
    bandwidth = Bandwidth()
    results = {}
    systems = set()
    for threads in args.threads:
        candidates = [start(sys.executable, "pyllm", "default", {}, args.model, threads)]
        for name in args.settings:
            settings = PEER_SETTINGS[name]
            candidates.append(
                start(args.peer_python, "llama.cpp", name, settings, args.model, threads)
            )
        contenders = [c for c in candidates if c is not None]
        if {c.engine for c in contenders} != {"pyllm", "llama.cpp"}:
            raise SystemExit("compare: both engines must run")
        results[threads] = measure(contenders, threads, args.rounds, bandwidth)
        systems |= {c.info["system"] for c in contenders if "system" in c.info}
        for c in contenders:
            print(
                f"{c.engine}, {c.setting}: loaded in {c.info['load_seconds']:.1f} s",
                file=sys.stderr,
            )
            c.close()
    print(report(args.model, results))
    print("\nllama.cpp:", *systems)


if __name__ == "__main__":
    main()
