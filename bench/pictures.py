"""The pictures of docs/performance.md as small SVG files, the same bytes for the same numbers."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

plt.switch_backend("svg")
plt.rcParams.update(
    {
        "svg.hashsalt": "pyllm",  # ids are random without it
        "svg.fonttype": "none",  # text stays text: smaller, and searchable
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
    }
)

_SIZE = (5.6, 3.4)  # inches
Curves = dict[str, list[tuple[float, float]]]


def lines(path: Path, curves: Curves, x_label: str, title: str) -> None:
    """Tokens per second of each engine over x, evenly spaced."""
    figure, axes = plt.subplots(figsize=_SIZE)
    xs = sorted({x for points in curves.values() for x, _ in points})
    for name, points in curves.items():
        places = [xs.index(x) for x, _ in points]
        axes.plot(places, [y for _, y in points], marker="o", label=name)
    axes.set_xticks(range(len(xs)), [f"{x:g}" for x in xs])
    axes.set(xlabel=x_label, ylabel="tokens per second", title=title, ylim=(0, None))
    axes.legend(frameon=False)
    _save(figure, path)


def roofline(path: Path, cells: list[dict[str, Any]]) -> None:
    """Matmul cells of one number of threads: multiply-adds a second over those per byte read.

    The roof is the median of the limits that were measured beside the cells.
    """
    figure, axes = plt.subplots(figsize=_SIZE)
    limited = [c for c in cells if c["peak"]]
    peak = statistics.median(c["gmacs"] / c["peak"] for c in limited)
    bandwidth = statistics.median(c["gb_per_s"] / c["read"] for c in limited)
    by_type: Curves = {}
    for c in limited:
        by_type.setdefault(c["type"], []).append((c["gmacs"] / c["gb_per_s"], c["gmacs"]))
    for name, points in by_type.items():
        xs, ys = zip(*sorted(points), strict=True)
        axes.plot(xs, ys, marker=".", linestyle="none", label=name)
    most = max(x for points in by_type.values() for x, _ in points)
    ridge = peak / bandwidth
    axes.plot([0.5, ridge, most], [0.5 * bandwidth, peak, peak], color="black", linewidth=1)
    axes.set(
        xscale="log", yscale="log", xlabel="multiply-adds per byte of weights", ylabel="GMAC/s",
        title=f"Matmul kernels below {peak:.0f} GMAC/s and {bandwidth:.0f} GB/s",
    )  # fmt: skip
    axes.legend(frameon=False, ncols=2)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    # Matplotlib leaves blanks at line ends.
    text = path.read_text().splitlines()
    path.write_text("\n".join(line.rstrip() for line in text) + "\n")
