"""`pyllm COMMAND …`: parse, run the command, turn every failure into one line and an exit code.

Exit codes: 0; 1 a failure while running; 2 bad input or arguments; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from pyllm.cli.arguments import CommandLineError, Parsed, parse, usage
from pyllm.cli.commands import COMMANDS, Command, commands_below, find_command
from pyllm.cli.model_path import resolve_model
from pyllm.cli.terminal import note, one_line, print_error
from pyllm.cli.values import switch
from pyllm.demo import demo_model
from pyllm.errors import (
    ContextLengthError,
    DeviceError,
    ModelFileError,
    PyLLMError,
    RequestError,
    TemplateError,
    TokenizerError,
    printable,
)

__all__ = ["main"]

# What the user gave is at fault: another file, value or setting is needed, not another try.
_BAD_INPUT = (
    CommandLineError,
    DeviceError,
    ModelFileError,
    OSError,
    RequestError,
    TemplateError,
    TokenizerError,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code; `argv` defaults to sys.argv[1:]."""
    typed = list(sys.argv[1:] if argv is None else argv)
    _replace_closed_streams()
    _write_any_character(sys.stdout)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = _dispatch(typed)
            sys.stdout.flush()  # a reader that left shows here, not while the interpreter ends
            return code
        except KeyboardInterrupt:
            print(file=sys.stderr)
            return 130
        except BrokenPipeError:
            _silence_stdout()  # the reader, `head` for example, has seen enough
            return 1
        except _BAD_INPUT as error:
            return _failed(_message(error), 2, typed)
        except PyLLMError as error:
            return _failed(str(error), 1, typed)
        except ImportError as error:
            return _failed(str(error), 1, typed)  # an incomplete installation; the text says what
        except MemoryError:
            return _failed("out of memory; a smaller -c or a smaller model may fit", 1, typed)
        except Exception as error:
            hint = "this is a defect of pyllm; --debug prints where"
            return _failed(f"{type(error).__name__}: {error}; {hint}", 1, typed)


def _replace_closed_streams() -> None:
    """Python has no stdout or stderr when it was started with them closed (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            stays_open = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the whole run
            setattr(sys, name, stays_open)


def _dispatch(typed: list[str]) -> int:
    if not typed or typed[0] in ("-h", "--help", "help"):
        return _print_overview()
    if typed[0] in ("--version", "-V", "version"):
        return _print_version()
    rest = [word for word in typed if word != "--debug"]
    command = find_command(rest)
    if _asks_for_the_group(rest, command):
        return _print_group_help(rest[0], command)
    if command is None:
        raise CommandLineError(_unknown_command(rest))
    rest = rest[len(command.name.split()) :] + ["--debug"] * ("--debug" in typed)
    parsed = parse(command, rest, os.environ)
    if parsed.help:
        from pyllm.cli.help import command_help

        print(command_help(command))
        return 0
    for text in parsed.notes:
        note(text)
    return _run(command, parsed)


def _asks_for_the_group(words: list[str], command: Command | None) -> bool:
    """Whether `words` are a group of commands and nothing to do: `pyllm eval`, `pyllm bench`."""
    if not words or not commands_below(words[0]):
        return False
    if command is None:
        return words[1:] in ([], ["-h"], ["--help"])
    return len(words) == 1 and not os.environ.get(command.model_flag.env)


def _print_group_help(name: str, command: Command | None) -> int:
    from pyllm.cli.help import command_help, group_help

    print(command_help(command) if command else group_help(name))
    return 0


def _run(command: Command, parsed: Parsed) -> int:
    arguments = dict(parsed.values)
    if command.takes_text:
        arguments[command.takes_text] = parsed.text
    if parsed.model is None and command.model_required:
        raise CommandLineError(f"no MODEL was given; usage: {usage(command)}")
    model = parsed.model if command.remote else _model(command, parsed)
    module, _, name = command.target.partition(":")
    function: Callable[..., int | None] = getattr(importlib.import_module(module), name)
    try:
        result = function(model, **arguments)
    except RequestError as error:
        raise _as_typed(command, parsed, error) from error
    sys.stdout.flush()
    return result or 0


def _model(command: Command, parsed: Parsed) -> Path | None:
    if parsed.model is not None:
        return resolve_model(parsed.model)
    return demo_model() if command.demo else None


def _as_typed(command: Command, parsed: Parsed, error: RequestError) -> Exception:
    """The same error, naming the option a person can change instead of the library's field."""
    shown = {flag.keyword: flag.shown for flag in command.flags if not flag.ignored}
    shown |= parsed.typed_as
    if isinstance(error, ContextLengthError):
        counts = f"{error.prompt_tokens} tokens, the context holds {error.max_model_len}"
        return CommandLineError(f"the prompt has {counts}; shorten it, or raise -c/--ctx-size")
    name = re.split(r"[\[.]", error.field, maxsplit=1)[0]  # "logit_bias[7]" is one of -l's
    field = shown.get(name, name) + error.field[len(name) :]
    # Names of two words are fields; "seed" or "stop" may be just a word.
    message = re.sub(r"\w+_\w+", lambda word: shown.get(word[0], word[0]), error.message)
    return CommandLineError(f"{field}: {printable(error.value)}: {message}")


def _print_overview() -> int:
    from pyllm.cli.help import overview

    print(overview())
    return 0


def _print_version() -> int:
    from importlib.metadata import PackageNotFoundError, version

    with contextlib.suppress(PackageNotFoundError):
        print(f"pyllm {version('pyllm')}")
        return 0
    print("pyllm (run from its source tree, not installed)")
    return 0


def _unknown_command(words: list[str]) -> str:
    name = words[0] if words else ""
    names = [command.name for command in COMMANDS]
    if group := [command.name for command in commands_below(name)]:
        close = difflib.get_close_matches(" ".join(words[:2]), group, n=1, cutoff=0.8)
        hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(group)}"
        return f"unknown command {' '.join(words[:2])!r}; {hint}"
    if name.startswith("-"):
        return f"unknown option {name}; a command comes first: {', '.join(names)}"
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"unknown command {name!r}; did you mean {close[0]}?"
    if name.lower().endswith(".gguf"):
        return f"unknown command {name!r}; to run a model: pyllm run {name}"
    return f"unknown command {name!r}; allowed: {', '.join(names)}"


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _failed(message: str, code: int, typed: list[str]) -> int:
    if "--debug" in typed or _debug_in_environment():
        traceback.print_exc()
    print_error(message)
    return code


def _debug_in_environment() -> bool:
    try:
        return bool(switch(os.environ.get("PYLLM_DEBUG", "")))
    except ValueError:
        return False


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"pyllm: warning: {one_line(str(message))}", file=sys.stderr)


def _write_any_character(stream: TextIO) -> None:
    # A model may write what the terminal's encoding lacks; that is no reason to stop.
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    # The interpreter flushes stdout once more at exit; give it somewhere to write.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
