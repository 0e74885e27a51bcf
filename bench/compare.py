"""Speed side by side: pyllm and its peers on one file, alternating in one run.

    python bench/compare.py MODEL.gguf --peer llama.cpp=~/llama.cpp/bin/llama-bench \
        --peer "ik=~/ik/bin/llama-bench:-fmoe 1" --tests pp512 tg128 --threads 2
    python bench/compare.py MODEL.gguf --peer-python ~/peer/bin/python

A peer is any binary that speaks llama-bench's options and JSON, or an interpreter that has
llama-cpp-python. First every setting of a peer runs each test once; then its best ones alternate
with pyllm for some rounds, with the read bandwidth measured before each. Medians of the rounds are
compared, with the peer's best setting for that test. Writes markdown; --json appends lines.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from bandwidth import Bandwidth
from contenders import Binary, Contender, pyllm, worker
from llama_bench import LlamaBench
from peak import Peak
from results import Line, append, shown
from speed_test import SpeedTest
from traffic import Traffic, traffic

PYTHON_SETTINGS: dict[str, dict[str, Any]] = {
    "default": {"repack": True, "flash_attention": True},
    "no repack": {"repack": False, "flash_attention": True},
    "no flash attention": {"repack": True, "flash_attention": False},
    "no repack, no flash attention": {"repack": False, "flash_attention": False},
}
CLOSE = 0.97  # a setting this close to a peer's best in its first run stays in the contest
FINALISTS = 2  # settings of a peer that alternate with us, for each test
OURS = "pyllm"


@dataclass
class Contest:
    """One test with one number of threads: everybody's rates, round by round."""

    test: SpeedTest
    threads: int
    scouted: dict[tuple[str, str], float] = field(default_factory=dict)  # (engine, setting)
    rates: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    bandwidth: list[float] = field(default_factory=list)  # GB/s before each round and after
    peak: list[float] = field(default_factory=list)  # int8 GMAC/s, likewise

    def ours(self) -> list[float]:
        return self.rates[OURS, "default"]

    def finalists(self, engine: str) -> list[str]:
        """Settings of one peer that are worth more rounds, best first."""
        tried = {s: r for (e, s), r in self.scouted.items() if e == engine}
        ranked = sorted(tried, key=lambda s: tried[s], reverse=True)[:FINALISTS]
        return [s for s in ranked if tried[s] >= CLOSE * tried[ranked[0]]]

    def best_of(self, engine: str) -> tuple[str, list[float]]:
        """A peer's fastest setting by median."""
        found = {s: r for (e, s), r in self.rates.items() if e == engine}
        setting = max(found, key=lambda s: statistics.median(found[s]))
        return setting, found[setting]

    def peers(self) -> list[str]:
        return list(dict.fromkeys(engine for engine, _ in self.rates if engine != OURS))

    def ratio(self, engine: str) -> float:
        return statistics.median(self.ours()) / statistics.median(self.best_of(engine)[1])

    def share(self, needs: Traffic) -> float | None:
        """Ours as a part of what the machine allowed in the same round: peak or bandwidth."""
        if self.test.kind == "tg":
            gb = needs.decode_bytes(self.test.depth + self.test.n / 2) / 1e9
            limits = [x / gb for x in self.bandwidth]
        else:
            limits = [x * 1e9 * self.test.n / needs.prefill_macs(self.test.n) for x in self.peak]
        around = [(a + b) / 2 for a, b in pairwise(limits)]
        pairs = zip(self.ours(), around, strict=False)
        shares = [rate / limit for rate, limit in pairs if limit]
        return statistics.median(shares) if shares else None


class Comparison:
    """Starts everybody, finds each peer's best settings, and lets them alternate."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.bandwidth, self.peak = Bandwidth(), Peak()
        self.isa = ""

    def run(self, threads: int) -> Iterator[Contest]:
        # Decoding at a depth goes on with its sequence, so every round adds to it.
        needed = max(t.depth + t.n * (self.args.rounds + 2) for t in self.args.tests)
        ours = pyllm(self.args.model, threads, {"context": needed + 32}, self.args.isa)
        self.isa = ours.info["isa"]
        peers = [*self._binaries(threads), *self._interpreters(threads, needed + 32)]
        try:
            for test in self.args.tests:
                yield self._contest(Contest(test, threads), ours, peers)
        finally:
            for contender in (ours, *peers):
                contender.close()

    def _binaries(self, threads: int) -> Iterator[Contender]:
        for bench in self.args.peer:
            for name, arguments in bench.settings().items():
                if not self.args.settings or name in self.args.settings:
                    yield Binary(bench, name, arguments, self.args.model, threads)

    def _interpreters(self, threads: int, context: int) -> Iterator[Contender]:
        for name, settings in PYTHON_SETTINGS.items() if self.args.peer_python else ():
            if self.args.settings and name not in self.args.settings:
                continue
            try:
                yield worker(
                    self.args.peer_python, "llama.cpp (python)", name, self.args.model, threads,
                    {**settings, "context": context},
                )  # fmt: skip
            except ChildProcessError as error:
                print(f"left out: {name}: {error}", file=sys.stderr)

    def _contest(self, contest: Contest, ours: Contender, peers: list[Contender]) -> Contest:
        ours.rate(contest.test)  # page faults, lazy set-up
        for peer in peers:
            try:
                rate = peer.rate(contest.test)
            except (ChildProcessError, ValueError) as error:
                print(f"left out: {peer.engine}, {peer.setting}: {error}", file=sys.stderr)
                continue
            contest.scouted[peer.engine, peer.setting] = rate
            self._log(contest, "scout", peer, rate)
        best = {e: contest.finalists(e) for e, _ in contest.scouted}
        entered = [ours, *(p for p in peers if p.setting in best.get(p.engine, ()))]
        for number in range(self.args.rounds):
            self._limits(contest)
            # Everybody follows everybody: what a neighbour leaves behind hits all alike.
            for contender in entered if number % 2 == 0 else reversed(entered):
                rate = contender.rate(contest.test)
                contest.rates.setdefault((contender.engine, contender.setting), []).append(rate)
                self._log(contest, "round", contender, rate)
        self._limits(contest)
        self._verdict(contest)
        return contest

    def _limits(self, contest: Contest) -> None:
        contest.bandwidth.append(self.bandwidth.gb_per_s(contest.threads))
        contest.peak.append(self.peak.int8_gmacs(self.isa, contest.threads) or 0.0)

    def _log(self, contest: Contest, kind: str, contender: Contender, rate: float) -> None:
        print(
            f"{contest.threads} thr. {contest.test} {kind}: {contender.engine}, "
            f"{contender.setting}: {rate:.2f}",
            file=sys.stderr,
            flush=True,
        )
        line = {"engine": contender.engine, "setting": contender.setting, "rate": rate}
        append(self.args.json, {"kind": kind, **self._subject(contest), **line})

    def _subject(self, contest: Contest) -> Line:
        return {
            "row": self.args.row, "model": self.args.model.stem, "isa": self.isa,
            "test": str(contest.test), "threads": contest.threads, "time": time.time(),
        }  # fmt: skip

    def _verdict(self, contest: Contest) -> None:
        peers = {}
        for engine in contest.peers():
            setting, rates = contest.best_of(engine)
            peers[engine] = {"setting": setting, "rates": rates, "ratio": contest.ratio(engine)}
        append(
            self.args.json,
            {
                "kind": "verdict", **self._subject(contest), "ours": contest.ours(),
                "peers": peers, "share": contest.share(traffic(self.args.model)),
                "bandwidth": contest.bandwidth, "peak": contest.peak,
            },
        )  # fmt: skip


def report(model: Path, contests: list[Contest]) -> str:
    """The markdown: the comparison first, then every setting that was tried."""
    needs = traffic(model)
    lines = [
        f"### {model.stem}",
        "",
        "| threads | test | pyllm | share of limit | peer | its best | ratio | setting | GB/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    details = ["", "| threads | test | engine | setting | rounds | first run |", "|---" * 6 + "|"]
    for contest in contests:
        share = contest.share(needs)
        limit = "read" if contest.test.kind == "tg" else "int8"
        part = "–" if share is None else f"{100 * share:.0f} % {limit}"
        start = f"| {contest.threads} | {contest.test} |"
        gb = statistics.median(contest.bandwidth)
        for peer in contest.peers() or ["–"]:
            setting, rates = contest.best_of(peer) if peer != "–" else ("–", [])
            ratio = f"{contest.ratio(peer):.2f}" if rates else "–"
            theirs = shown(rates) if rates else "–"
            lines.append(
                f"{start} {shown(contest.ours())} | {part} | {peer} | {theirs} | {ratio} "
                f"| {setting} | {gb:.1f} |"
            )
        for key in dict.fromkeys([*contest.rates, *contest.scouted]):
            rounds = shown(contest.rates[key]) if key in contest.rates else "–"
            first = f"{contest.scouted[key]:.2f}" if key in contest.scouted else "–"
            details.append(f"{start} {key[0]} | {key[1]} | {rounds} | {first} |")
    return "\n".join([*lines, *details])


def _expanded(text: str) -> LlamaBench:
    name, _, rest = text.partition("=")
    return LlamaBench.parse(f"{name}={Path(rest).expanduser()}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--peer", action="append", default=[], type=_expanded, metavar="NAME=PATH[:ARGUMENTS]"
    )
    parser.add_argument("--peer-python", help="interpreter with llama-cpp-python")
    parser.add_argument(
        "--tests", nargs="+", type=SpeedTest.parse, default=["pp512", "tg128"],
        help="pp512, tg128, pp4096, tg32@d4096, tg32@d16384, …",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", nargs="+", help="names of peers' settings; default: all")
    parser.add_argument("--isa", help="instruction set of pyllm (PYLLM_ISA)")
    parser.add_argument("--json", type=Path, help="append measurements to this file")
    parser.add_argument("--row", default="", help="label of the JSON lines")
    args = parser.parse_args()
    args.tests = [SpeedTest.parse(t) if isinstance(t, str) else t for t in args.tests]
    return args


def main() -> None:
    args = arguments()
    comparison = Comparison(args)
    contests = [contest for threads in args.threads for contest in comparison.run(threads)]
    print(report(args.model, contests))


if __name__ == "__main__":
    main()
