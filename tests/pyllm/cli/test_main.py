"""Exit codes, error lines and what the help costs."""

from __future__ import annotations

import resource
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyllm.cli.doctor
from pyllm.cli.main import main
from pyllm.errors import (
    ContextLengthError,
    DeviceError,
    MemoryBudgetError,
    ModelFileError,
    RequestError,
    TemplateError,
    TokenizerError,
)
from tests.pyllm.cli.program import COMMAND, environment


def use(monkeypatch: pytest.MonkeyPatch, behaviour: Callable[[], int | None]) -> None:
    """Makes `pyllm doctor` do something else."""

    def doctor(_: Any, *, as_json: bool) -> int | None:
        return behaviour()

    monkeypatch.setattr(pyllm.cli.doctor, "doctor", doctor)


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail() -> None:
        raise error

    use(monkeypatch, fail)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("top_k", -7, "must be 0 or more"), 2),
        (ContextLengthError(600, 512), 2),
        (ModelFileError("m.gguf", 4, "version", 9, "2 or 3"), 2),
        (TemplateError("no"), 2),
        (TokenizerError("no"), 2),
        (DeviceError("no"), 2),
        (FileNotFoundError(2, "No such file or directory", "m.gguf"), 2),
        (PermissionError(13, "Permission denied", "m.gguf"), 2),
        (MemoryBudgetError(2**40, 2**30), 1),
        (MemoryError(), 1),
        (ImportError("the extension is missing"), 1),
        (ZeroDivisionError("x\ny"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_are_one_line_and_a_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    failing(monkeypatch, error)
    assert main(["doctor"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pyllm: error: ")
    assert err.count("\n") == 1


def test_a_traceback_only_with_debug(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    failing(monkeypatch, TokenizerError("no"))
    main(["doctor"])
    assert "Traceback" not in capsys.readouterr().err
    for typed in (["doctor", "--debug"], ["--debug", "doctor"]):
        assert main(typed) == 2
        err = capsys.readouterr().err
        assert "Traceback" in err
        assert err.endswith("pyllm: error: no\n")
    monkeypatch.setenv("PYLLM_DEBUG", "1")
    main(["doctor"])
    assert "Traceback" in capsys.readouterr().err


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "\n")


def test_a_refused_field_is_named_as_its_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise RequestError("max_model_len", 9000, "at most 2048")

    (tmp_path / "m.gguf").touch()
    monkeypatch.setattr("pyllm.cli.run.run", run)
    assert main(["run", str(tmp_path / "m.gguf")]) == 2
    shown = "-c/--max-model-len/--ctx-size: 9000: at most 2048"
    assert capsys.readouterr().err == f"pyllm: error: {shown}\n"


@pytest.mark.parametrize(
    ("field", "typed", "environ", "shown"),
    [
        ("temperature", ["--temp", "1"], {}, "--temp: 7: at least --min-p"),
        ("temperature", [], {"PYLLM_TEMPERATURE": "1"}, "PYLLM_TEMPERATURE: 7: at least "),
        ("temperature", [], {}, "--temperature/--temp: 7: at least --min-p"),
        ("logit_bias[5]", ["-l", "5+1"], {}, "-l[5]: 7: at least --min-p"),
        ("elsewhere", [], {}, "elsewhere: 7: at least --min-p"),
    ],
)
def test_a_refused_value_is_named_as_it_was_typed(
    field: str,
    typed: list[str],
    environ: dict[str, str],
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise RequestError(field, 7, "at least min_p")

    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("pyllm.cli.run.run", run)
    assert main(["run", *typed]) == 2
    assert capsys.readouterr().err.startswith(f"pyllm: error: {shown}")


def test_exit_code_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, lambda: 1)
    assert main(["doctor"]) == 1
    use(monkeypatch, lambda: None)
    assert main(["doctor"]) == 0


def test_warnings_are_lines_too(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    use(monkeypatch, lambda: warnings.warn("odd\x1b[2J file", stacklevel=1))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        main(["doctor"])
    assert capsys.readouterr().err == "pyllm: warning: odd\\x1b[2J file\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["rnu"], "unknown command 'rnu'; did you mean run?"),
        (["frobnicate"], "unknown command 'frobnicate'; allowed: run, serve, run-batch, "),
        (["m.gguf"], "unknown command 'm.gguf'; to run a model: pyllm run m.gguf"),
        (["--temp", "1"], "unknown option --temp; a command comes first: run, "),
        (["eval", "klt", "m.gguf"], "unknown command 'eval klt'; did you mean eval kld?"),
        (["eval", "m.gguf"], "unknown command 'eval m.gguf'; allowed: eval kld, eval perplexity"),
        (["show"], "no MODEL was given; usage: pyllm show MODEL [options]"),
        (["show", "m.gguf", "--tensor"], "unknown option --tensor; did you mean --tensors?"),
    ],
)
def test_mistyped_commands(typed: list[str], message: str, capsys: Any) -> None:
    assert main(typed) == 2
    assert capsys.readouterr().err.startswith(f"pyllm: error: {message}")


def test_help_and_version(capsys: Any) -> None:
    for typed in ([], ["--help"], ["-h"], ["help"]):
        assert main(typed) == 0
        assert "  run " in capsys.readouterr().out
    assert main(["run", "m.gguf", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("--temperature", "(default: 0.8)", "PYLLM_NUM_THREADS", "-ngl"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 100
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pyllm ")


@pytest.mark.parametrize("typed", [["eval"], ["eval", "-h"], ["bench"], ["--debug", "bench"]])
def test_a_group_of_commands_lists_them(typed: list[str], capsys: Any) -> None:
    assert main(typed) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name in {"eval": ("eval kld", "eval perplexity"), "bench": ("bench serve",)}[
        "eval" if "eval" in typed else "bench"
    ]:
        assert f"\n  {name} " in out


def test_a_model_in_the_environment_is_something_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("PYLLM_MODEL", "nowhere.gguf")
    assert main(["bench"]) == 2
    assert "no such file" in capsys.readouterr().err


HEAVY = (
    *("numpy", "cffi", "pyllm._core", "rich", "prompt_toolkit", "jinja2", "gguf", "tokenizers"),
    "httpx",
)


@pytest.mark.parametrize(
    "typed", [["--help"], ["run", "--help"], ["bench", "--help"], ["chat", "--help"]]
)
def test_help_imports_nothing_heavy(typed: list[str]) -> None:
    code = (
        "import sys; from pyllm.cli import main; code = main(sys.argv[1:]); "
        f"print([name for name in {HEAVY} if name in sys.modules]); sys.exit(code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *typed],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_help_answers_within_150_ms() -> None:
    """Processor time, the best of several runs: other work on the machine must not count."""
    durations_s = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*COMMAND, "--help"], env=environment(), check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        durations_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(durations_s) < 0.150


def test_a_reader_that_leaves_is_no_error() -> None:
    """`pyllm --help | head -0` ends quietly."""
    run = subprocess.Popen(
        [*COMMAND, "run", "--help"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.close()
    assert run.stderr.read() == b""
    assert run.wait(timeout=20) in (0, 1)
    run.stderr.close()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    command = " ".join(map(shlex.quote, COMMAND))
    done = subprocess.run(
        f"{command} run 'What is 3 + 4?' </dev/null {closed}",
        shell=True,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_home_that_does_not_exist_is_a_missing_file(capsys: Any) -> None:
    assert main(["show", "~nobody-of-that-name/model.gguf"]) == 2
    assert "no such file: '~nobody-of-that-name/model.gguf'" in capsys.readouterr().err


def test_a_prompt_that_does_not_fit_names_the_option(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["run", "-c", "16", "-p", "word " * 40]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pyllm: error: the prompt has ")
    assert error.count("\n") == 1
    assert "-c" in error
