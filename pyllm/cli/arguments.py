"""From the words a user typed to the values of a command's flags.

argparse is not used: it reads `-fa on` as `-f a`, `-ngl 99` as `-n gl` and drops a PROMPT that
follows a flag, each of which people type.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyllm.cli.commands import Command
from pyllm.cli.flags import DEBUG, HELP, Flag
from pyllm.cli.values import text

__all__ = ["CommandLineError", "Parsed", "parse"]


class CommandLineError(Exception):
    """What was typed cannot be understood; the message is one line that says what is allowed."""


@dataclass
class Parsed:
    """The values for one call: by flag keyword, and "engine" and "sampling" as groups of them."""

    model: str | None = None
    text: str | None = None  # the words after the model, None when there are none
    help: bool = False
    debug: bool = False
    values: dict[str, object] = field(default_factory=dict)
    typed_as: dict[str, str] = field(default_factory=dict)  # keyword → "--temp", or the variable
    notes: list[str] = field(default_factory=list)


def parse(command: Command, typed: Sequence[str], environ: Mapping[str, str]) -> Parsed:
    """Reads `typed` (without the command's name); CommandLineError when it makes no sense."""
    words, given, names = _split(command, typed)
    model, first_is_model = command.model_flag, bool(words) and not command.remote
    for flag in (model, DEBUG, *command.flags):
        # PYLLM_MODEL stands back when words are given: the first of them is the model then.
        if flag not in given and environ.get(flag.env) and not (flag is model and first_is_model):
            given[flag] = [_parsed_value(flag, environ[flag.env], flag.env)]
            names[flag] = flag.env
    parsed = Parsed(help=HELP in given, debug=bool(given.get(DEBUG, [False])[-1]))
    parsed.typed_as = {flag.keyword: name for flag, name in names.items()}
    if model in given and command.many_models:
        words += map(str, given[model])
    elif model in given:
        parsed.model = str(given[model][-1])
    elif command.many_models:
        pass
    elif first_is_model and not (command.demo and len(words) == 1 and _reads_as_prompt(words[0])):
        parsed.model = words.pop(0)
    if command.takes_words:
        parsed.values[command.takes_words] = [_valid_text(word, "PROMPT") for word in words]
    elif words and not command.takes_text and not parsed.help:
        raise CommandLineError(f"unexpected argument {words[0]!r}; usage: {usage(command)}")
    if words and command.takes_text:
        parsed.text = _valid_text(" ".join(words), command.words.split()[-1])
    for flag in command.flags:
        if not flag.ignored:
            _group(parsed.values, flag.group)[flag.keyword] = _value(flag, given.get(flag, []))
        elif flag in given:
            parsed.notes.append(f"{flag.shown} has no effect: {flag.ignored}")
    return parsed


def _reads_as_prompt(word: str) -> bool:
    """Whether a lone argument is a question for the embedded model rather than a file's path."""
    several_words = len(word.split()) > 1 and not word.lower().endswith(".gguf")
    return several_words and not os.path.lexists(word)


def usage(command: Command) -> str:
    """One line: how the command is typed."""
    return f"pyllm {command.name} {command.words} [options]"


def _split(
    command: Command, typed: Sequence[str]
) -> tuple[list[str], dict[Flag, list[object]], dict[Flag, str]]:
    """Words that are not flags, every value given to each flag, and the name it was given under."""
    by_name = {name: flag for flag in command.all_flags for name in flag.names}
    words: list[str] = []
    given: dict[Flag, list[object]] = {}
    names: dict[Flag, str] = {}
    rest = list(reversed(typed))
    while rest:
        word = rest.pop()
        if word == "--":
            words += reversed(rest)
            break
        name, has_value, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not name.startswith("-") or name == "-" or name[1:2].isdigit() or " " in name:
            words.append(word)  # " " in it: a prompt that begins with a dash
            continue
        flag = by_name.get(name)
        if flag is None:
            raise CommandLineError(_unknown(command, name, list(by_name)))
        names[flag] = name
        if not flag.metavar:
            if has_value:
                raise CommandLineError(f"{name} takes no value, {value!r} was given")
            given.setdefault(flag, []).append(True)
            continue
        if not has_value:
            if not rest:
                raise CommandLineError(f"{name} needs a value: {name} {flag.metavar}")
            value = rest.pop()
        given.setdefault(flag, []).append(_parsed_value(flag, value, name))
    return words, given, names


def _parsed_value(flag: Flag, typed: str, name: str) -> object:
    try:
        return flag.parse(typed)
    except ValueError as error:
        raise CommandLineError(f"{name}: {error}") from None


def _valid_text(typed: str, name: str) -> str:
    try:
        return text(typed)
    except ValueError as error:
        raise CommandLineError(f"{name}: {error}") from None


def _unknown(command: Command, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}?" if close else f"see: pyllm {command.name} --help"
    return f"unknown option {name}; {hint}"


def _value(flag: Flag, given: list[object]) -> object:
    if not given:
        return flag.default
    if not flag.metavar:
        return bool(flag.default) != bool(given[-1])  # a switch turns its default around
    return given if flag.repeat else given[-1]


def _group(values: dict[str, object], group: str) -> dict[str, object]:
    if not group:
        return values
    inner = values.setdefault(group, {})
    assert isinstance(inner, dict)
    return inner
