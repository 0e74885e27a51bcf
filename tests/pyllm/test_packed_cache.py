"""Cache files of packed weights: used, written once, and never believed when they are wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyllm import packed_cache
from pyllm.loader import load_model
from tests.support.child_process import environment
from tests.support.reference_models import model_path

TOKENS = [1, 5, 9, 2]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pyllm" / "packed"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy2(model_path("llama"), tmp_path / "model.gguf"))


def logits(model: Path, **options: Any) -> Any:
    loaded = load_model(model, num_threads=2, max_num_seqs=1, packed_cache=True, **options)
    columns = loaded.program.columns
    n = len(TOKENS)
    columns["tokens"][:n], columns["positions"][:n] = TOKENS, range(n)
    columns["seq_starts"][:2], columns["logit_rows"][0] = [0, n], n - 1
    columns["block_tables"][0, 0] = 0
    loaded.program.step(n, 1, 1)
    result = np.array(columns["logits"][0])
    loaded.close()
    return result


def files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def only_file(directory: Path) -> Path:
    (file,) = files(directory)
    assert file.suffix == packed_cache.SUFFIX
    return file


def test_written_once_then_mapped(directory: Path, model: Path) -> None:
    calls: list[tuple[int, int]] = []
    first = logits(model, progress=lambda *call: calls.append(call))
    assert calls[-1][0] == calls[-1][1] > 0
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    before = only_file(directory).stat()
    calls.clear()
    np.testing.assert_array_equal(logits(model, progress=lambda *call: calls.append(call)), first)
    assert calls == []
    assert only_file(directory).stat().st_ino == before.st_ino
    assert before.st_mode & 0o777 == 0o600


def test_the_cache_changes_no_result(directory: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a directory")
    without = logits(model)
    (tmp_path / "cache").unlink()
    np.testing.assert_array_equal(logits(model), without)
    np.testing.assert_array_equal(logits(model), without)
    assert only_file(directory).exists()


@pytest.mark.parametrize("place", ["header", "checksums", "key"])
def test_a_damaged_head_is_replaced(
    place: str, directory: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = logits(model)
    file = only_file(directory)
    flip(file, {"header": 8, "checksums": 70, "key": 20}[place])
    np.testing.assert_array_equal(logits(model), first)
    assert "was removed" in capfd.readouterr().err
    np.testing.assert_array_equal(logits(model), first)
    assert capfd.readouterr().err == ""
    assert only_file(directory).exists()


def test_damaged_tiles_are_packed_again_and_told_once(
    directory: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = logits(model)
    file = only_file(directory)
    size = file.stat().st_size
    for at in range(size // 2, size, 4096):
        flip(file, at)
    np.testing.assert_array_equal(logits(model), first)
    assert capfd.readouterr().err.count("is damaged and was removed") == 1
    assert files(directory) == []
    np.testing.assert_array_equal(logits(model), first)  # written anew
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("size", [0, 10, 64, 5000, -1, -70_000])
def test_a_truncated_file_is_replaced(
    size: int, directory: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = logits(model)
    file = only_file(directory)
    os.truncate(file, size if size >= 0 else file.stat().st_size + size)
    np.testing.assert_array_equal(logits(model), first)
    assert "was removed: it has another size" in capfd.readouterr().err
    assert only_file(directory).stat().st_size > 70_000


def test_another_models_file_under_this_name(directory: Path, model: Path, tmp_path: Path) -> None:
    logits(model)
    own = only_file(directory)
    other = Path(shutil.copy2(model, tmp_path / "other.gguf"))
    os.utime(other, ns=(1, 1))
    first = logits(other)
    (foreign,) = [file for file in files(directory) if file != own]
    shutil.copy(own, foreign)  # same size, another key
    np.testing.assert_array_equal(logits(other), first)


def test_a_model_changed_in_place_gets_a_new_file(directory: Path, model: Path) -> None:
    logits(model)
    old = only_file(directory)
    os.utime(model)
    logits(model)
    assert len(files(directory)) == 2
    assert old.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_costs_one_line(
    directory: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    directory.mkdir(parents=True)
    directory.chmod(0o500)
    logits(model)
    assert capfd.readouterr().err.count("\n") == 1


def test_a_place_that_is_no_directory_costs_one_line(
    directory: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    directory.parent.mkdir(parents=True)
    directory.write_text("")
    logits(model)
    error = capfd.readouterr().err
    assert error.startswith("pyllm: no packed cache: ")
    assert error.count("\n") == 1


def test_a_full_disk_costs_one_line(
    directory: Path, model: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(packed_cache, "SPARE_BYTES", 1 << 60)
    logits(model)
    assert "0 may be used" in capfd.readouterr().err
    assert files(directory) == []


def test_the_least_recently_used_files_make_room(
    directory: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [model]
    for i in range(1, 3):
        models.append(Path(shutil.copy2(model, tmp_path / f"{i}.gguf")))
        os.utime(models[-1], ns=(i, i))
    made = []
    for i, each in enumerate(models[:2]):
        logits(each)
        (new,) = set(files(directory)) - set(made)
        made.append(new)
        os.utime(new, ns=(i + 1, i + 1))
    logits(models[0])  # used again: now the other one is older
    monkeypatch.setattr(packed_cache, "MOST_BYTES", int(2.5 * made[0].stat().st_size))
    logits(models[2])
    assert made[0].exists()
    assert not made[1].exists()
    assert len(files(directory)) == 2


LOAD = """
import sys, time
from pyllm.loader import load_model
def stall(done, total):
    print("writing", flush=True)
    time.sleep(60)
model = load_model(sys.argv[1], num_threads=1, packed_cache=True, progress=stall)
print("loaded", flush=True)
sys.stdin.read()
"""


def child(model: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOAD, str(model)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )


def test_a_killed_writer_leaves_nothing_that_counts(directory: Path, model: Path) -> None:
    with child(model) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        (partial,) = files(directory)
        assert partial.suffix == packed_cache.PARTIAL
        logits(model)  # beside a living writer: its file stays
        assert partial.exists()
        writer.send_signal(signal.SIGKILL)
    os.utime(model)
    logits(model)
    assert not partial.exists()
    assert {file.suffix for file in files(directory)} == {packed_cache.SUFFIX}


def test_processes_share_the_pages(directory: Path, model: Path) -> None:
    first = logits(model)
    file = only_file(directory)
    with child(model) as one, child(model) as other:
        for reader in (one, other):
            assert reader.stdout is not None
            assert reader.stdout.readline() == "loaded\n"
            assert str(file) in Path(f"/proc/{reader.pid}/maps").read_text()
        file.unlink()  # a mapped file may go: its readers keep it
        np.testing.assert_array_equal(logits(model), first)
        for reader in (one, other):
            reader.communicate("")
            assert reader.returncode == 0


def flip(file: Path, at: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ 0x10]))
