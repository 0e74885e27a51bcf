"""What a user may get wrong: each mistake is one clear line and exit code 2, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyllm.cli import main
from tests.pyllm.cli.program import COMMAND, environment
from tests.pyllm.cli.tiny_model import CONTEXT, TEMPLATE, write_tiny_model

LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n"
)


@pytest.fixture(autouse=True)
def _nothing_is_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "m.gguf", template=TEMPLATE)


def empty_directory(place: Path, model: Path) -> Path:
    return place


def several_models(place: Path, model: Path) -> Path:
    for name in ("a.gguf", "b.gguf"):
        (place / name).write_bytes(model.read_bytes())
    return place


def picture(place: Path, model: Path) -> Path:
    return written(place, b"\x89PNG\r\n\x1a\n" + bytes(100))


def truncated(place: Path, model: Path) -> Path:
    return written(place, model.read_bytes()[:-1000])


def truncated_header(place: Path, model: Path) -> Path:
    return written(place, model.read_bytes()[:500])


def lfs_pointer(place: Path, model: Path) -> Path:
    return written(place, LFS_POINTER.encode())


def empty_file(place: Path, model: Path) -> Path:
    return written(place, b"")


def web_page(place: Path, model: Path) -> Path:
    return written(place, b"<!DOCTYPE html><html><body>Sign in</body></html>")


def unknown_architecture(place: Path, model: Path) -> Path:
    return write_tiny_model(place / "unknown.gguf", arch="frobnicator")


def missing_file(place: Path, model: Path) -> Path:
    return place / "nowhere.gguf"


def written(place: Path, data: bytes) -> Path:
    (place / "bad.gguf").write_bytes(data)
    return place / "bad.gguf"


BAD_MODELS = {
    empty_directory: "no GGUF file",
    several_models: "holds 2 models; give one of them: 'a.gguf', 'b.gguf'",
    picture: "PNG",
    truncated: "download",
    truncated_header: "download",
    lfs_pointer: "LFS",
    empty_file: "empty",
    web_page: "web page",
    unknown_architecture: "'frobnicator'",
    missing_file: "no such file",
}


def refused(capsys: Any, *typed: object) -> str:
    """The one line `pyllm …` ends with; checks everything that is common to all mistakes."""
    assert main([str(word) for word in typed]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return checked(err)


def checked(err: str) -> str:
    lines = [line for line in err.splitlines() if not line.startswith("pyllm: note: ")]
    assert len(lines) == 1, err
    assert lines[0].startswith("pyllm: error: ")
    assert "Traceback" not in err
    return lines[0]


@pytest.mark.parametrize("command", ["run", "bench"])
@pytest.mark.parametrize("make", BAD_MODELS, ids=lambda make: make.__name__)
def test_bad_models(command: str, make: Any, model: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["a prompt"] if command == "run" else []
    line = refused(capsys, command, make(tmp_path, model), *words)
    assert BAD_MODELS[make] in line


@pytest.mark.parametrize("make", [picture, truncated, missing_file, several_models])
def test_bad_models_to_look_at(make: Any, model: Path, tmp_path: Path, capsys: Any) -> None:
    bad = make(tmp_path, model)
    assert BAD_MODELS[make] in refused(capsys, "show", bad)
    assert main(["doctor", str(bad)]) == 2
    assert BAD_MODELS[make] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--temp", "banana"], "--temp: 'banana' is not a number; allowed: 0 or more"),
        (["--top-p", "1.5"], "--top-p: 1.5 is out of range; allowed: more than 0 to 1"),
        (["-n", "0"], "-n: 0 is out of range"),
        (["-c", "lots"], "-c: 'lots' is not a whole number"),
        (["-c", "1M"], f"-c: 1048576: at most {CONTEXT}"),
        (["--frobnicate"], "unknown option --frobnicate"),
        (["-f", "/nowhere/prompt.txt"], "/nowhere/prompt.txt: No such file"),
        (["-p", "two prompts"], "more than one prompt was given"),
    ],
)
def test_bad_options(typed: list[str], said: str, model: Path, capsys: Any) -> None:
    assert said in refused(capsys, "run", model, "hello", *typed)


def test_a_prompt_longer_than_the_context(model: Path, capsys: Any) -> None:
    line = refused(capsys, "run", model, "x" * 200)
    assert f"the context holds {CONTEXT}" in line
    assert "the prompt has 2" in line


def test_a_prompt_that_is_no_text(model: Path, capsys: Any) -> None:
    assert "-p: the text is not valid UTF-8" in refused(capsys, "run", model, "-p", "\udcff")
    assert "[PROMPT]: the text is not valid UTF-8" in refused(capsys, "run", model, "caf\udce9")


def start(*typed: object, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs the real command in a process of its own."""
    run = subprocess.run(
        [*COMMAND, *map(str, typed)],
        input=stdin,
        capture_output=True,
        env=environment(**environ),
        timeout=60,
    )
    return subprocess.CompletedProcess(
        run.args, run.returncode, run.stdout.decode(), run.stderr.decode()
    )


def test_the_program_itself(model: Path, tmp_path: Path) -> None:
    for typed, environ in (
        (["run", picture(tmp_path, model), "hi"], {}),
        (["run", model, "hi", "--temp", "banana"], {}),
        (["run", model, "hi"], {"PYLLM_TEMPERATURE": "banana"}),
        (["run", model, "hi"], {"PYLLM_ISA": "banana"}),
    ):
        result = start(*typed, **environ)
        assert (result.returncode, result.stdout) == (2, "")
        checked(result.stderr)


def test_a_good_run_for_comparison(model: Path) -> None:
    result = start("run", model, "-n", "4", "--temp", "0", "--verbose", stdin=b"hello")
    assert result.returncode == 0
    assert result.stdout.endswith("\n")
    assert "eval count:           4 token(s)" in result.stderr
    again = start("run", model, "hello", "-n", "4", "--temp", "0", PYTHONIOENCODING="ascii")
    assert again.returncode == 0
