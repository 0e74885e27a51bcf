"""`pyllm run-batch`, whole: rows 37 to 39 of what must hold when something goes wrong."""

from __future__ import annotations

import io
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyllm.cli import main
from pyllm.demo import demo_model
from tests.support.batch_files import chat_line, jsonl, line, read, text_line, until
from tests.support.batch_kills import command, finish, kill_repeatedly, write_job
from tests.support.child_process import environment


@pytest.fixture(scope="session")
def model() -> Path:
    path = demo_model()
    assert path is not None
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def run(model: Path, source: object, output: object, *flags: str) -> int:
    words = ["run-batch", "-i", str(source), "-o", str(output), str(model), "-t", "1", *flags]
    return main(words)


def test_answers_come_in_the_order_of_the_requests(
    model: Path, source: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths = [40, 1, 20, 1, 5, 30]
    source.write_bytes(
        jsonl(*(text_line(f"l{n}", max_tokens=n, ignore_eos=True) for n in lengths[:1]))
        + jsonl(*(text_line(f"{i}", max_tokens=n) for i, n in enumerate(lengths[1:])))
        + jsonl(chat_line("sum"))
    )
    assert run(model, source, output) == 0
    found = read(output.read_bytes())
    assert [entry["custom_id"] for entry in found] == ["l40", "0", "1", "2", "3", "4", "sum"]
    body = found[-1]["response"]["body"]
    assert body["choices"][0]["message"]["content"] == "3 + 4 = 7."
    assert body["model"] == model.stem
    assert {entry["response"]["status_code"] for entry in found} == {200}
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("pyllm: lines written: 7; ")


def test_bad_lines_get_an_error_and_the_run_goes_on(
    model: Path, source: Path, output: Path
) -> None:
    lines = [
        "{broken",
        "\udc80".encode("utf-8", "surrogateescape").decode("latin-1"),
        "[]",
        '{"custom_id": "twice", "custom_id": "twice"}',
        text_line("a"),
        text_line("a"),
        "",
        text_line("hot", temperature=-1),
        line("where", "/v1/nowhere", {}),
        text_line("other", model="gpt-4o"),
        text_line("z"),
    ]
    source.write_bytes(jsonl(*lines))
    assert run(model, source, output) == 0
    found = read(output.read_bytes())
    codes = [
        entry["error"]["code"] if entry["error"] else entry["response"]["status_code"]
        for entry in found
    ]
    assert codes == [
        "invalid_json", "invalid_json", "invalid_json", "duplicate_key", 200,
        "duplicate_custom_id", 400, "invalid_value", 404, 200,
    ]  # fmt: skip
    assert found[5]["error"]["line"] == 6
    assert "line 5" in found[5]["error"]["message"]


def test_a_line_of_any_length(model: Path, source: Path, output: Path) -> None:
    source.write_bytes(b'{"custom_id": "' + b"x" * 9_000_000 + b'"}\n' + jsonl(text_line("a")))
    assert run(model, source, output) == 0
    first, second = read(output.read_bytes())
    assert first["error"]["code"] == "line_too_long"
    assert second["response"]["status_code"] == 200


def test_an_alias(model: Path, source: Path, output: Path) -> None:
    source.write_bytes(jsonl(text_line("a", model="gpt-4o"), text_line("b")))
    assert run(model, source, output, "--alias", "gpt-4o") == 0
    found = [entry["response"]["body"]["model"] for entry in read(output.read_bytes())]
    assert found == ["gpt-4o", model.stem]


def test_sampled_answers_are_the_same_in_every_run(
    model: Path, source: Path, tmp_path: Path
) -> None:
    source.write_bytes(jsonl(*(text_line(f"{n}", temperature=1.0) for n in range(6))))
    outputs = [tmp_path / "a", tmp_path / "b"]
    for place, number in zip(outputs, ("1", "8"), strict=True):
        assert run(model, source, place, "--max-num-seqs", number) == 0
    first, second = (place.read_bytes() for place in outputs)
    assert first == second
    texts = {entry["response"]["body"]["choices"][0]["text"] for entry in read(first)}
    assert len(texts) > 1  # each line has a seed of its own


def test_shards_are_all_lines_once(model: Path, source: Path, tmp_path: Path) -> None:
    lines: list[Any] = [text_line(f"id-{n}", max_tokens=1) for n in range(12)]
    source.write_bytes(jsonl(*lines, "bad 1", "bad 2", lines[0]))
    numbers = []
    for index in (1, 2, 3):
        place = tmp_path / f"out-{index}"
        assert run(model, source, place, "--shard", f"{index}/3") == 0
        entries = read(place.read_bytes())
        ids = [int(entry["custom_id"][3:]) for entry in entries if entry["response"]]
        assert ids == sorted(ids)
        assert len(entries) < 15
        numbers += ids
        numbers += [-1 for entry in entries if entry["error"]]
    assert sorted(numbers) == [-1, -1, -1, *range(12)]


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_an_impossible_shard(
    model: Path, source: Path, output: Path, shard: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, source, output, "--shard", shard) == 2
    assert "--shard" in capsys.readouterr().err


def test_standard_input_and_output(
    model: Path, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jsonl(text_line("a"), text_line("b"))
    source.write_bytes(data)
    assert run(model, source, output) == 0
    piped = subprocess.run(
        command(model, Path("-"), Path("-")), input=data, capture_output=True, env=environment()
    )
    assert piped.stdout == output.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert run(model, "-", output) == 0  # all are there


def test_what_was_done_is_not_done_again(
    model: Path, source: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write_bytes(jsonl(*(text_line(f"{n}") for n in range(3))))
    assert run(model, source, output) == 0
    whole = output.read_bytes()
    ends = [0, *(i + 1 for i, byte in enumerate(whole) if byte == 10)]
    for cut in (*ends, *(end + 1 for end in ends[:-1]), *(end - 1 for end in ends[1:])):
        output.write_bytes(whole[:cut])
        capsys.readouterr()
        assert run(model, source, output) == 0
        assert output.read_bytes() == whole
        done = sum(end <= cut for end in ends[1:])
        assert f"lines written: {3 - done}" in capsys.readouterr().err


def test_zeros_after_a_power_cut_are_no_line(model: Path, source: Path, output: Path) -> None:
    source.write_bytes(jsonl(text_line("a"), text_line("b")))
    assert run(model, source, output) == 0
    whole = output.read_bytes()
    output.write_bytes(whole[: whole.index(b"\n") + 1] + bytes(4096))
    assert run(model, source, output) == 0
    assert output.read_bytes() == whole


def test_a_longer_input_goes_on(model: Path, source: Path, output: Path) -> None:
    source.write_bytes(jsonl(text_line("a")))
    assert run(model, source, output) == 0
    source.write_bytes(jsonl(text_line("a"), text_line("b")))
    assert run(model, source, output) == 0
    assert [entry["custom_id"] for entry in read(output.read_bytes())] == ["a", "b"]


A, B, C = (text_line(name) for name in "abc")


@pytest.mark.parametrize(
    ("changed", "flags", "reason"),
    [
        (jsonl(B, A, C), (), "line 1: it does not answer line 1 of the input"),
        (jsonl(A, C, B), (), "line 2: it does not answer line 2 of the input"),
        (jsonl(A, "", B, C), (), "line 2: it does not answer line 3 of the input"),
        (jsonl(A, B), (), "line 3: the input has no such line"),
        (jsonl(A, B, C), ("-c", "256"), "with other options"),
        (jsonl(A, B, C), ("-ctk", "q8_0"), "with other options"),
        (jsonl(A, B, C), ("--alias", "x"), "with other options"),
        (jsonl(A, B, C), ("--shard", "1/1"), "with other options"),
    ],
)
def test_another_job_is_not_resumed(
    model: Path,
    source: Path,
    output: Path,
    changed: bytes,
    flags: tuple[str, ...],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source.write_bytes(jsonl(A, B, C))
    assert run(model, source, output) == 0
    whole = output.read_bytes()
    source.write_bytes(changed)
    capsys.readouterr()
    assert run(model, source, output, *flags) == 1
    assert reason in capsys.readouterr().err
    assert output.read_bytes() == whole


def test_another_model_does_not_resume(
    model: Path, source: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write_bytes(jsonl(A, B))
    assert run(model, source, output) == 0
    other = tmp_path / model.name
    data = bytearray(model.read_bytes())
    data[-100] ^= 1  # one weight
    other.write_bytes(data)
    assert run(other, source, output) == 1
    assert "another model made it" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"dear diary\n", b"dear diary", b'{"id":"batch_req_xyz"}\n'])
def test_somebody_elses_file_is_left_alone(
    model: Path, source: Path, output: Path, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write_bytes(jsonl(A))
    output.write_bytes(data)
    assert run(model, source, output) == 1
    assert "was not written by" in capsys.readouterr().err
    assert output.read_bytes() == data


def test_a_full_device(model: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source.write_bytes(jsonl(A))
    assert run(model, source, "/dev/full") == 1
    error = capsys.readouterr().err
    assert error == "pyllm: error: '/dev/full': No space left on device\n"


def test_a_full_disk(model: Path, source: Path, output: Path, tmp_path: Path) -> None:
    source.write_bytes(jsonl(*(text_line(f"{n}") for n in range(6))))
    whole = tmp_path / "whole.jsonl"
    assert run(model, source, whole) == 0
    for size in (100, 1500):
        stopped = subprocess.run(
            command(model, source, output),
            env=environment(),
            capture_output=True,
            text=True,
            preexec_fn=lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        )
        assert stopped.returncode == 1
        assert stopped.stderr.endswith("File too large; the same command goes on from there\n")
        assert stopped.stderr.count("\n") == 1
        assert whole.read_bytes().startswith(output.read_bytes())
        assert output.read_bytes()[-1:] in (b"", b"\n")
    assert run(model, source, output) == 0
    assert output.read_bytes() == whole.read_bytes()


def test_interrupted(model: Path, source: Path, output: Path) -> None:
    data = [text_line(f"{n}", max_tokens=200, ignore_eos=True) for n in range(100)]
    source.write_bytes(jsonl(*data))
    process = subprocess.Popen(
        command(model, source, output), env=environment(), stderr=subprocess.PIPE, text=True
    )
    until(lambda: output.exists() and output.stat().st_size, bool)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip() == ""
    done = len(read(output.read_bytes()))
    assert 0 < done < 100
    source.write_bytes(jsonl(*data[: done + 1]))
    assert run(model, source, output) == 0
    assert len(read(output.read_bytes())) == done + 1


@pytest.mark.slow
def test_killed_at_any_time(model: Path, tmp_path: Path) -> None:
    source = write_job(tmp_path / "job.jsonl", 200)
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    finish(model, source, whole, "--max-num-seqs", "3")
    assert kill_repeatedly(model, source, killed, kills=20, seed=0) > 5
    finish(model, source, killed)
    assert len(whole.read_bytes().splitlines()) == 200
    assert killed.read_bytes() == whole.read_bytes()


def test_two_runs_do_not_write_to_one_file(
    model: Path, source: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    source.write_bytes(jsonl(A))
    with output.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert run(model, source, output) == 1
    assert "another run-batch is writing to it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-o", "x"], "-i is missing"),
        (["-i", "x"], "-o is missing"),
        (["-i", "nowhere.jsonl", "-o", "x"], "nowhere.jsonl"),
        (["-i", ".", "-o", "x"], "is a directory"),
    ],
)
def test_what_is_missing_is_said(
    model: Path,
    tmp_path: Path,
    words: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run-batch", *words, str(model)]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_model_that_cannot_be_loaded(source: Path, output: Path, tmp_path: Path) -> None:
    source.write_bytes(jsonl(A))
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF")
    assert run(bad, source, output) == 2
    assert not output.exists()
