"""The tables of commands and flags agree with the functions they call."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields

import pytest

from pyllm.cli.arguments import parse
from pyllm.cli.commands import COMMANDS, Command, find_command
from pyllm.sampling.params import SamplingParams


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_gets_exactly_the_arguments_it_takes(command: Command) -> None:
    module, _, name = command.target.partition(":")
    function = getattr(importlib.import_module(module), name)
    given = {**parse(command, [], {}).values, command.takes_text: None}
    given.pop("", None)
    inspect.signature(function).bind(None, **given)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_names_are_unique(command: Command) -> None:
    names = [name for flag in command.all_flags for name in flag.names]
    keywords = [flag.keyword for flag in command.all_flags]
    assert len(set(names)) == len(names)
    assert len(set(keywords)) == len(keywords)


def test_one_variable_means_one_thing() -> None:
    """PYLLM_X may be read by several commands only under the same long name."""
    spellings: dict[str, set[str]] = {}
    for command in COMMANDS:
        for flag in command.all_flags:
            spellings.setdefault(flag.env, set()).add(flag.long_name)
    assert all(len(names) == 1 for names in spellings.values())


def test_sampling_flags_are_sampling_fields() -> None:
    known = {field.name for field in fields(SamplingParams)}
    for command in COMMANDS:
        assert {flag.keyword for flag in command.flags if flag.group == "sampling"} <= known


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["bench", "m.gguf"], "bench"),
        (["bench"], "bench"),
        (["bench", "serve", "m.gguf"], "bench serve"),
        (["bench", "./serve"], "bench"),
        (["serve"], "serve"),
        (["sever"], None),
        ([], None),
    ],
)
def test_the_longest_name_wins(words: list[str], name: str | None) -> None:
    found = find_command(words)
    assert (found and found.name) == name
