"""The results of `pyllm bench` as llama-bench prints them: md, csv, json or jsonl."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from pyllm.kv.types import KVTypes

__all__ = ["Measurement", "Subject", "formatted", "header"]


@dataclass(frozen=True)
class Subject:
    """What is measured: the same for every row."""

    filename: str
    model_type: str  # "llama Q4_K"
    size: int  # bytes of weights
    n_params: int
    backend: str  # "CPU avx512vnni"
    cpu: str


@dataclass(frozen=True)
class Measurement:
    """One row: a test and the seconds each repetition of it took."""

    subject: Subject
    kv_types: KVTypes
    threads: int
    batch: int
    n_prompt: int
    n_gen: int
    depth: int
    samples_s: list[float] = field(repr=False)

    @property
    def test(self) -> str:
        """llama-bench's name: pp512, tg128, "tg128 @ d4096"."""
        name = f"pp{self.n_prompt}" if self.n_prompt else f"tg{self.n_gen}"
        return f"{name} @ d{self.depth}" if self.depth else name

    @property
    def rates(self) -> list[float]:
        """Tokens per second of each repetition."""
        return [(self.n_prompt + self.n_gen) / seconds for seconds in self.samples_s]

    def as_dict(self) -> dict[str, object]:
        """llama-bench's field names; durations in nanoseconds."""
        nanoseconds = [round(seconds * 1e9) for seconds in self.samples_s]
        return {
            "cpu_info": self.subject.cpu,
            "backends": self.subject.backend,
            "model_filename": self.subject.filename,
            "model_type": self.subject.model_type,
            "model_size": self.subject.size,
            "model_n_params": self.subject.n_params,
            "n_batch": self.batch,
            "n_threads": self.threads,
            "type_k": self.kv_types.keys,
            "type_v": self.kv_types.values,
            "n_prompt": self.n_prompt,
            "n_gen": self.n_gen,
            "n_depth": self.depth,
            "avg_ns": round(statistics.fmean(nanoseconds)),
            "stddev_ns": round(_stddev(nanoseconds)),
            "avg_ts": statistics.fmean(self.rates),
            "stddev_ts": _stddev(self.rates),
            "samples_ns": nanoseconds,
            "samples_ts": self.rates,
        }


# title, width, whether numbers stand right
_COLUMNS = (
    ("model", 30, False),
    ("size", 10, True),
    ("params", 10, True),
    ("backend", 14, False),
    ("threads", 7, True),
    ("n_batch", 7, True),
    ("kv", 9, False),
    ("test", 15, True),
    ("t/s", 20, True),
)


def header(output: str) -> str:
    """What comes before the first row; empty when nothing does."""
    if output == "md":
        titles = [_cell(title, width, right) for title, width, right in _COLUMNS]
        rules = ["-" * (width - 1) + (":" if right else "-") for _, width, right in _COLUMNS]
        return f"{_line(titles)}\n{_line(rules)}"
    if output == "csv":
        return ",".join(_CSV_FIELDS)
    return "[" if output == "json" else ""


def formatted(result: Measurement, output: str, *, last: bool) -> str:
    """One row in the wanted format; `last` closes a JSON list."""
    if output == "md":
        return _markdown(result)
    values = result.as_dict()
    if output == "csv":
        return _csv([values[name] for name in _CSV_FIELDS])
    if output == "jsonl":
        return json.dumps(values)
    return json.dumps(values, indent=2) + ("\n]" if last else ",")


def _markdown(result: Measurement) -> str:
    subject = result.subject
    rate = f"{statistics.fmean(result.rates):.2f} ± {_stddev(result.rates):.2f}"
    cells = (
        subject.model_type,
        _size(subject.size),
        _params(subject.n_params),
        subject.backend,
        str(result.threads),
        str(result.batch),
        str(result.kv_types),
        result.test,
        rate,
    )
    return _line(
        [_cell(text, width, right) for text, (_, width, right) in zip(cells, _COLUMNS, strict=True)]
    )


_CSV_FIELDS = (
    "cpu_info",
    "backends",
    "model_filename",
    "model_type",
    "model_size",
    "model_n_params",
    "n_batch",
    "n_threads",
    "type_k",
    "type_v",
    "n_prompt",
    "n_gen",
    "n_depth",
    "avg_ns",
    "stddev_ns",
    "avg_ts",
    "stddev_ts",
)


def _csv(values: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def _stddev(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.2f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.2f} MiB"


def _params(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.2f} M"
