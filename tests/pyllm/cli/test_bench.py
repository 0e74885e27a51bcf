"""`pyllm bench`: which positions are computed, and the tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pyllm.cli import bench as command
from pyllm.cli import main
from pyllm.cli.arguments import CommandLineError
from pyllm.cli.bench_profile import profile_table, sum_by_op
from pyllm.cli.bench_report import Measurement, Subject, formatted, header
from pyllm.cli.bench_steps import Stepper
from pyllm.kv.types import KVTypes
from tests.pyllm.cli.tiny_model import write_tiny_model

CPU = 'A "CPU", fast'
SUBJECT = Subject("m.gguf", "llama Q4_K", 800 * 2**20, 1_236_000_000, "CPU avx2", CPU)


class FakeProgram:
    """Remembers the positions, sequence starts and rows of each step."""

    def __init__(self) -> None:
        self.columns = {
            name: np.full(64, -7, dtype)
            for name, dtype in {
                "tokens": np.int32,
                "positions": np.int32,
                "seq_starts": np.int32,
                "logit_rows": np.int32,
                "rng_position": np.int64,
                "temperature": np.float32,
                "top_k": np.int32,
                "top_p": np.float32,
                "min_p": np.float32,
                "repetition_penalty": np.float32,
                "presence_penalty": np.float32,
                "frequency_penalty": np.float32,
                "seed": np.int64,
                "n_logprobs": np.int32,
                "target": np.int32,
                "deferred": np.int32,
                "sampler_order": np.int64,
            }.items()
        }
        self.columns["block_tables"] = np.full((2, 4), -7, np.int32)
        self.steps: list[tuple[list[int], int]] = []
        self.profiled = 0
        self.threads = self.threads_batch = 0

    def step(self, n_tokens: int, n_seqs: int, n_rows: int, *, profile: bool = False) -> None:
        columns = self.columns
        assert n_seqs == 1
        assert columns["seq_starts"][:2].tolist() == [0, n_tokens]
        assert columns["logit_rows"][0] == n_tokens - 1
        assert columns["tokens"][:n_tokens].min() >= 0
        assert columns["temperature"][0] == 0
        self.steps.append((columns["positions"][:n_tokens].tolist(), n_rows))
        self.profiled += profile

    def profile(self) -> list[tuple[int, str, int, int, int]]:
        return [(0, "linear", 1000, 8000, 2000), (1, "rope", 500, 0, 0)]

    def set_threads(self, n: int, n_batch: int) -> None:
        self.threads, self.threads_batch = n, n_batch


@pytest.fixture
def program() -> FakeProgram:
    return FakeProgram()


@pytest.fixture
def stepper(program: FakeProgram) -> Stepper:
    model: Any = SimpleNamespace(program=program, max_model_len=64, num_kv_blocks=3)
    return Stepper(model, 100)


def test_a_prompt_goes_in_chunks_and_samples_once(program: FakeProgram, stepper: Stepper) -> None:
    assert stepper.prompt(2, 5, 2) > 0
    assert program.steps == [([2, 3], 0), ([4, 5], 0), ([6], 1)]
    assert program.columns["block_tables"][0].tolist() == [0, 1, 2, 0]


def test_generation_goes_one_by_one(program: FakeProgram, stepper: Stepper) -> None:
    stepper.generate(3, 2)
    assert program.steps == [([3], 1), ([4], 1)]
    assert program.profiled == 0


def measurement(**changes: Any) -> Measurement:
    values = {"threads": 2, "batch": 512, "n_prompt": 512, "n_gen": 0, "depth": 0}
    return Measurement(SUBJECT, KVTypes(), **{**values, **changes}, samples_s=[1.0, 2.0])


def test_names_of_tests() -> None:
    assert measurement().test == "pp512"
    assert measurement(n_prompt=0, n_gen=128).test == "tg128"
    assert measurement(depth=4096).test == "pp512 @ d4096"


def test_markdown() -> None:
    lines = [*header("md").splitlines(), formatted(measurement(), "md", last=True)]
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "llama Q4_K",
        "800.00 MiB",
        "1.24 B",
        "CPU avx2",
        "2",
        "512",
        "f16",
        "pp512",
        "384.00 ± 181.02",
    ]


def test_csv_and_json_agree() -> None:
    rows = [measurement(), measurement(n_prompt=0, n_gen=128)]
    table = "\n".join([header("csv"), *(formatted(row, "csv", last=False) for row in rows)])
    read = list(csv.DictReader(io.StringIO(table)))
    assert read[0]["cpu_info"] == 'A "CPU", fast'
    text = header("json")
    text += "".join(formatted(row, "json", last=row is rows[-1]) for row in rows)
    assert [row["avg_ts"] for row in json.loads(text)] == [384.0, 96.0]
    assert float(read[1]["avg_ts"]) == 96.0
    lines = [json.loads(formatted(row, "jsonl", last=False)) for row in rows]
    assert lines[0]["samples_ns"] == [1_000_000_000, 2_000_000_000]
    assert header("jsonl") == ""


def test_one_repetition_has_no_deviation() -> None:
    single = Measurement(SUBJECT, KVTypes("q8_0", "q4_0"), 1, 512, 512, 0, 0, [2.0])
    assert formatted(single, "md", last=True).endswith("256.00 ± 0.00 |")


def test_profile_sums_by_op() -> None:
    steps = [FakeProgram().profile()] * 4
    totals = sum_by_op(steps)
    assert [(total.name, total.calls, total.nanoseconds) for total in totals] == [
        ("linear", 4, 4000),
        ("rope", 4, 2000),
    ]
    lines = profile_table("tg4", 4, totals).splitlines()
    assert lines[0] == "tg4: 0.002 ms per step, 4 steps"
    assert lines[2].split() == ["linear", "1", "0.001", "66.7%", "8.00", "2.00"]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, program: FakeProgram) -> list[dict[str, Any]]:
    """The arguments load_model was called with."""
    calls = []

    def load_model(path: Path, **arguments: Any) -> Any:
        calls.append(arguments)
        return SimpleNamespace(
            program=program,
            config=SimpleNamespace(n_vocab=100),
            max_model_len=64,
            num_kv_blocks=3,
            close=lambda: calls.append({"closed": True}),
        )

    monkeypatch.setattr("pyllm.loader.load_model", load_model)
    monkeypatch.setattr(command, "_subject", lambda path: SUBJECT)
    return calls


OPTIONS: dict[str, Any] = {
    "n_prompt": [8],
    "n_gen": [4],
    "n_depth": [0, 16],
    "max_num_batched_tokens": [4],
    "num_threads": [1, 2],
    "num_threads_batch": [],
    "repetitions": 3,
    "output": "md",
    "profile": False,
    "cache_type_k": ["f16"],
    "cache_type_v": ["f16"],
}


def test_every_combination_is_a_row(
    loaded: list[dict[str, Any]], program: FakeProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.bench(Path("m.gguf"), **OPTIONS) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[5].strip(), row[8].strip()) for row in rows] == [
        (threads, test)
        for threads in ("1", "2")
        for test in ("pp8", "tg4", "pp8 @ d16", "tg4 @ d16")
    ]
    assert loaded[0]["max_model_len"] == 24
    assert loaded[-1] == {"closed": True}
    assert (program.threads, program.threads_batch) == (2, 2)
    # The last test: 16 tokens of depth in chunks of 4, two steps of warming, 3 times 4 steps.
    assert [positions for positions, _ in program.steps[-18:]] == [
        *([first, first + 1, first + 2, first + 3] for first in (0, 4, 8, 12)),
        [16],
        [17],
        *([position] for position in [16, 17, 18, 19] * 3),
    ]


def test_prompts_have_threads_of_their_own(
    loaded: list[dict[str, Any]], program: FakeProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**OPTIONS, "n_depth": [16], "num_threads": [1], "num_threads_batch": [3, 4]}
    assert command.bench(Path("m.gguf"), **options) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[5].strip(), row[8].strip()) for row in rows] == [
        ("3", "pp8 @ d16"),
        ("1", "tg4 @ d16"),
        ("4", "pp8 @ d16"),
        ("1", "tg4 @ d16"),
    ]
    assert (loaded[0]["num_threads"], loaded[0]["num_threads_batch"]) == (1, 3)
    assert (program.threads, program.threads_batch) == (1, 4)


def test_each_pair_of_types_is_loaded_by_itself(
    loaded: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    types = {"cache_type_k": ["f16", "q8_0"], "cache_type_v": ["q8_0"]}
    options = {**OPTIONS, "n_prompt": [0], "n_depth": [0], "num_threads": [1], "output": "json"}
    assert command.bench(Path("m.gguf"), **{**options, **types}) == 0
    assert [call.get("kv_types") for call in loaded] == [
        KVTypes("f16", "q8_0"), None, KVTypes("q8_0", "q8_0"), None,
    ]  # fmt: skip
    rows = json.loads(capsys.readouterr().out)
    assert [(row["type_k"], row["type_v"]) for row in rows] == [("f16", "q8_0"), ("q8_0", "q8_0")]


def test_profile_prints_tables(
    loaded: list[dict[str, Any]], program: FakeProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    command.bench(
        Path("m.gguf"), **{**OPTIONS, "n_depth": [0], "num_threads": [1], "profile": True}
    )
    out = capsys.readouterr().out
    assert "pp8 @ d0, 1 threads, batch 4, f16: " in out
    assert "tg4 @ d0, 1 threads, batch 4, f16: " in out
    assert program.profiled == OPTIONS["repetitions"] * (2 + 4)


def test_nothing_to_measure(loaded: list[dict[str, Any]]) -> None:
    with pytest.raises(CommandLineError, match="nothing to measure"):
        command.bench(Path("m.gguf"), **{**OPTIONS, "n_prompt": [0], "n_gen": [0]})
    with pytest.raises(CommandLineError, match="leave -o out"):
        command.bench(Path("m.gguf"), **{**OPTIONS, "profile": True, "output": "csv"})
    assert loaded == []


def test_a_real_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_model(tmp_path / "m.gguf")
    typed = ["bench", str(path), "-p", "8", "-n", "4", "-d", "16", "-r", "2", "-t", "1"]
    assert main([*typed, "-o", "json"]) == 0
    prompt, generation = json.loads(capsys.readouterr().out)
    assert (prompt["n_prompt"], prompt["n_gen"], prompt["n_depth"]) == (8, 0, 16)
    assert (generation["n_prompt"], generation["n_gen"], generation["n_depth"]) == (0, 4, 16)
    assert min(*prompt["samples_ts"], *generation["samples_ts"]) > 0
    assert prompt["model_type"] == "llama F32"
    assert prompt["model_size"] == 4 * prompt["model_n_params"]
    assert main([*typed, "--profile"]) == 0
    assert "linear" in capsys.readouterr().out
