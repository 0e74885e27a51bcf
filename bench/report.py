"""Tables and pictures of docs/performance.md, from the JSON lines that the benches append.

    python bench/report.py goals.jsonl matmul.jsonl --pictures docs/pictures

Prints markdown: ratios by test and model, batched decoding, requests through the whole engine,
decoding by depth. With --pictures (and matplotlib: the "plot" extra) it also writes batched.svg,
engine.svg, depth.svg and roofline.svg. The same lines always give the same bytes.
"""

from __future__ import annotations

import argparse
import re
import statistics
from pathlib import Path

from results import Line, of_kind, read

Curve = list[tuple[float, float]]  # (x, tokens per second)
OURS = "pyllm"


def latest(lines: list[Line]) -> list[Line]:
    """The newest verdict of every subject, in the order in which subjects appeared."""
    keys = ("model", "test", "threads", "isa")
    found = {tuple(line.get(key) for key in keys): line for line in of_kind(lines, "verdict")}
    return list(found.values())


def ratio_table(verdicts: list[Line]) -> str:
    rows = [
        "| model | test | threads | pyllm | share | peer | its best | ratio | setting |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in verdicts:
        share = "–" if line["share"] is None else f"{100 * line['share']:.0f} %"
        start = f"| {line['model']} | {line['test']} | {line['threads']} "
        start += f"| {_median(line['ours'])} | {share}"
        rows += [
            f"{start} | {name} | {_median(peer['rates'])} | {peer['ratio']:.2f} "
            f"| {peer['setting']} |"
            for name, peer in line["peers"].items()
        ]
    return "\n".join(rows)


def _median(rates: list[float]) -> str:
    return f"{statistics.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})"


def curves(verdicts: list[Line], pattern: str) -> dict[str, Curve]:
    """Median rates by engine; x is the number that the pattern captures in the test's name."""
    found: dict[str, Curve] = {}
    for line in verdicts:
        match = re.fullmatch(pattern, line["test"])
        if match is None:
            continue
        x = float(match[1] or 0)
        everybody = {OURS: line["ours"], **{n: p["rates"] for n, p in line["peers"].items()}}
        for name, rates in everybody.items():
            found.setdefault(name, []).append((x, statistics.median(rates)))
    return {name: sorted(points) for name, points in found.items()}


def batched(verdicts: list[Line], model: str) -> dict[str, Curve]:
    return curves([v for v in verdicts if v["model"] == model], r"batch(\d+)")


def requests(verdicts: list[Line], model: str) -> dict[str, Curve]:
    """Through the whole engine (bench/engine.py)."""
    return curves([v for v in verdicts if v["model"] == model], r"engine(\d+)")


def by_depth(verdicts: list[Line], model: str) -> dict[str, Curve]:
    return curves([v for v in verdicts if v["model"] == model], r"tg\d+(?:@d(\d+))?")


def curve_table(title: str, found: dict[str, Curve]) -> str:
    """A row per engine, a column per x."""
    xs = sorted({x for points in found.values() for x, _ in points})
    rows = [f"| {title} |" + "".join(f" {x:g} |" for x in xs), "|---" * (len(xs) + 1) + "|"]
    for name, points in found.items():
        rates = dict(points)
        rows.append(
            f"| {name} |" + "".join(f" {rates[x]:.1f} |" if x in rates else " – |" for x in xs)
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, help="JSON lines")
    parser.add_argument("--model", default="llama1b-Q4_K_M", help="of the curves")
    parser.add_argument("--threads", type=int, default=2, help="of curves and roofline")
    parser.add_argument("--pictures", type=Path, help="folder for SVG files")
    args = parser.parse_args()
    lines = [line for file in args.files for line in read(file)]
    verdicts = latest(lines)
    chosen = [v for v in verdicts if v["threads"] == args.threads and v.get("isa") != "avx2"]
    batches, depths = batched(chosen, args.model), by_depth(chosen, args.model)
    engines = requests(chosen, args.model)
    print(ratio_table(verdicts))
    for title, found in (("sequences", batches), ("requests", engines), ("depth", depths)):
        if found:
            print(f"\n{curve_table(title, found)}")
    if args.pictures is not None:
        import pictures  # matplotlib is for those who draw

        args.pictures.mkdir(parents=True, exist_ok=True)
        if batches:
            pictures.lines(
                args.pictures / "batched.svg", batches, "sequences", f"{args.model}, decoding"
            )
        if engines:
            pictures.lines(
                args.pictures / "engine.svg",
                engines,
                "requests at a time",
                f"{args.model}, sampled and detokenized",
            )
        if depths:
            pictures.lines(
                args.pictures / "depth.svg", depths, "tokens before", f"{args.model}, decoding"
            )
        cells = [c for c in of_kind(lines, "matmul") if c["threads"] == args.threads]
        # Every instruction set has a roof of its own: the picture shows the first one's.
        cells = [c for c in cells if c["isa"] == cells[0]["isa"]]
        if cells:
            pictures.roofline(args.pictures / "roofline.svg", cells)


if __name__ == "__main__":
    main()
