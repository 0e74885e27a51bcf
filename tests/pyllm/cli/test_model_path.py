"""What a user may call MODEL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.model_path import resolve_model


def touch(directory: Path, *names: str) -> None:
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).touch()


def refusal(name: object) -> str:
    with pytest.raises(CommandLineError) as error:
        resolve_model(str(name))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_and_a_directory_with_one(tmp_path: Path) -> None:
    touch(tmp_path, "m.gguf", "mmproj-m.gguf", "README.md")
    assert resolve_model(str(tmp_path / "m.gguf")) == tmp_path / "m.gguf"
    assert resolve_model(str(tmp_path)) == tmp_path / "m.gguf"


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "m.gguf")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_model("~/m.gguf") == tmp_path / "m.gguf"


def test_sharded_models(tmp_path: Path) -> None:
    touch(tmp_path, "m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    first = tmp_path / "m-00001-of-00002.gguf"
    assert resolve_model(str(tmp_path)) == first
    assert resolve_model(str(first)) == first
    message = refusal(tmp_path / "m-00002-of-00002.gguf")
    assert "is part 2 of 2; give the first part" in message
    assert "m-00001-of-00002.gguf" in message


def test_first_part_is_missing(tmp_path: Path) -> None:
    touch(tmp_path, "m-00002-of-00002.gguf")
    assert "lacks the first part of" in refusal(tmp_path)


def test_directories_that_do_not_say_which(tmp_path: Path) -> None:
    assert "is a directory with no GGUF file" in refusal(tmp_path)
    touch(tmp_path, "model.safetensors")
    assert "weights to be converted to GGUF" in refusal(tmp_path)
    touch(tmp_path, *(f"{name}.gguf" for name in "abcdefg"))
    assert "holds 7 models; give one of them: 'a.gguf', 'b.gguf'" in refusal(tmp_path)


def test_names_that_are_no_files(tmp_path: Path) -> None:
    assert refusal("nowhere.gguf") == "no such file: 'nowhere.gguf'"
    assert "models are not downloaded" in refusal("llama3.2:1b")
    assert "models are not downloaded" in refusal("user/repo")
    assert "MODEL is empty" in refusal("")
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in refusal(tmp_path / "pipe")


def test_a_name_cannot_drive_the_terminal() -> None:
    assert "\x1b" not in refusal("\x1b[2J.gguf")
