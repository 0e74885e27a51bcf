"""The help texts, laid out from the tables of commands and flags."""

from __future__ import annotations

import shutil
import textwrap

from pyllm.cli.arguments import usage
from pyllm.cli.commands import COMMANDS, Command, commands_below
from pyllm.cli.flags import Flag

__all__ = ["command_help", "group_help", "overview"]

_SECTIONS = (("", "Options"), ("sampling", "Sampling"), ("engine", "Engine"))


def overview() -> str:
    """What `pyllm --help` prints."""
    rows = [(command.name, command.summary) for command in COMMANDS]
    return "\n".join(
        [
            "Run quantized language models on the CPU.",
            "",
            "Usage: pyllm COMMAND MODEL [options]",
            "",
            "Commands:",
            *_table(rows),
            "",
            *_wrapped(
                "MODEL is a GGUF file, a directory that holds one, or the first part of a sharded "
                "one. pyllm COMMAND --help lists a command's options; pyllm --version prints the "
                "version."
            ),
        ]
    )


def group_help(name: str) -> str:
    """What `pyllm NAME` prints when only its commands do something."""
    return "\n".join(
        [
            f"Usage: pyllm {name} COMMAND MODEL [options]",
            "",
            *_commands_below(name),
            "",
            *_wrapped(f"pyllm {name} COMMAND --help lists a command's options."),
        ]
    )


def _commands_below(name: str) -> list[str]:
    return ["Commands:", *_table([(c.name, c.summary) for c in commands_below(name)])]


def command_help(command: Command) -> str:
    """What `pyllm COMMAND --help` prints."""
    lines = [f"{command.summary[0].upper()}{command.summary[1:]}.", "", f"Usage: {usage(command)}"]
    for group, title in _SECTIONS:
        rows = [
            _row(flag) for flag in command.all_flags if flag.group == group and not flag.ignored
        ]
        if rows:
            lines += ["", f"{title}:", *_table(rows)]
    ignored = [name for flag in command.flags if flag.ignored for name in flag.names[:1]]
    if ignored:
        lines += ["", *_wrapped(f"Accepted without effect: {' '.join(ignored)}.")]
    if commands_below(command.name):
        lines += ["", *_commands_below(command.name)]
    if command.notes:
        lines += ["", *_wrapped(command.notes)]
    lines += ["", *_wrapped(_ENVIRONMENT)]
    return "\n".join(lines)


_ENVIRONMENT = (
    "Whole numbers may be written 32k (32000) or 32K (32768). Every option can be set by an "
    "environment variable named after its first long form: --num-threads is PYLLM_NUM_THREADS."
)


def _row(flag: Flag) -> tuple[str, str]:
    names = ", ".join(flag.names)
    left = f"{names} {flag.metavar}" if flag.metavar else names
    shown = flag.default
    if isinstance(shown, tuple):
        shown = ",".join(map(str, shown))
    # None is explained by the help text, and a switch needs no explanation.
    has_default = bool(flag.metavar) and shown is not None and shown != ""
    has_default = has_default and "(default: " not in flag.help
    return left, f"{flag.help} (default: {shown})" if has_default else flag.help


def _table(rows: list[tuple[str, str]]) -> list[str]:
    """Two columns; a left side that is too long gets a line of its own."""
    indent = min(max(len(left) for left, _ in rows), 26) + 4
    lines = []
    for left, right in rows:
        wrapped = textwrap.wrap(right, max(_width() - indent, 30))
        if len(left) + 4 > indent:
            lines.append(f"  {left}")
            left = ""
        lines.append(f"  {left}".ljust(indent) + wrapped[0])
        lines += [" " * indent + line for line in wrapped[1:]]
    return lines


def _wrapped(paragraph: str) -> list[str]:
    return textwrap.wrap(paragraph, _width())


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, 60), 100)
