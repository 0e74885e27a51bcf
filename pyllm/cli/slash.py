"""The /commands of the chat, named as in Ollama.

A command gets the session and the rest of its line and prints its result; what it refuses it
raises as CommandLineError, which the chat shows in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pyllm.cli.answer import print_answer
from pyllm.cli.arguments import CommandLineError
from pyllm.cli.flags import ENGINE, SPECULATION, Flag
from pyllm.cli.model_path import resolve_model
from pyllm.cli.sampling_flags import SAMPLING
from pyllm.cli.session import Session
from pyllm.cli.terminal import escape_controls

__all__ = [
    "HELP_SET",
    "HELP_SHORTCUTS",
    "ChatState",
    "Switches",
    "dispatch",
    "execute",
    "new_system",
    "read_parameter",
    "set_sampling",
    "set_switch",
    "show_help",
]

State = TypeVar("State")

HELP = '''\
Available commands:
  /set                 what can be set
  /show                what can be shown
  /load MODEL          switch to another model, start a new conversation
  /clear               forget the conversation
  /bye, /exit          leave (also Ctrl-D)
  /?, /help            this list; /? set, /? show, /? shortcuts for more

Use """ to begin and end a message of several lines.'''

HELP_SET = """\
  /set parameter NAME VALUE   set a parameter; /set parameter lists them
  /set system TEXT            set the system message; without TEXT there is none
  /set history, nohistory     remember what is typed, or not
  /set verbose, quiet         print durations and rates after each answer, or not"""

HELP_SHOW = """\
  /show info         what the model file holds
  /show parameters   the parameters in use
  /show system       the system message
  /show template     the model's chat template"""

HELP_SHORTCUTS = """\
  Ctrl-C          stop the answer, or clear the line
  Ctrl-D          leave
  Up, Down        earlier messages; Ctrl-R searches them
  Ctrl-A, Ctrl-E  to the beginning, to the end of the line
  Ctrl-K, Ctrl-U  delete to the end, to the beginning of the line
  Ctrl-W          delete the word before the cursor
  Ctrl-L          clear the screen"""

# Ollama's names of what our flags call otherwise.
_PARAMETER_FLAGS = {
    "num_predict": "max_tokens",
    "num_ctx": "max_model_len",
    "num_thread": "num_threads",
    "num_batch": "max_num_batched_tokens",
    "repeat_penalty": "repetition_penalty",
}


@dataclass(kw_only=True)
class Switches:
    """What every chat can turn on and off."""

    verbose: bool = False
    set_history: Callable[[bool], None] = lambda _: None  # turns the history file on or off


@dataclass
class ChatState(Switches):
    """The session and the switches of the chat around it."""

    session: Session

    def answer(self, text: str) -> str | None:
        print_answer(self.session, text, verbose=self.verbose)
        return self.session.cut

    def obey(self, line: str) -> bool:
        return execute(self, line)


def execute(state: ChatState, line: str) -> bool:
    """Runs the command in `line`; False when the chat is to end."""
    return dispatch(_COMMANDS, state, line)


def dispatch(commands: Mapping[str, Callable[[State, str], None]], state: State, line: str) -> bool:
    """Runs the one of `commands` that `line` names; False when the chat is to end."""
    name, _, rest = line.strip().partition(" ")
    if name in ("/bye", "/exit", "/quit"):
        return False
    if name not in commands:
        close = difflib.get_close_matches(name, commands, n=1)
        hint = f"did you mean {close[0]}?" if close else "/? lists the commands"
        raise CommandLineError(f"unknown command {name!r}; {hint}")
    commands[name](state, rest.strip())
    return True


def show_help(topic: str, overview: str, subjects: str) -> None:
    """Prints a chat's `overview`, or what it says of one topic; `subjects` are those of /show."""
    texts = {"": overview, "set": HELP_SET, "show": subjects, "shortcuts": HELP_SHORTCUTS}
    print(texts.get(topic.lstrip("/"), overview))


def _help(_: ChatState, topic: str) -> None:
    show_help(topic, HELP, HELP_SHOW)


def _clear(state: ChatState, _: str) -> None:
    state.session.clear()
    print("Cleared the conversation.")


def _load(state: ChatState, name: str) -> None:
    if not name:
        raise CommandLineError("/load needs a model: /load MODEL")
    state.session.load(resolve_model(name))
    print(f"Loaded {escape_controls(str(state.session.path))}.")
    if state.session.completes:
        print("It completes text instead of chatting.")


def _set(state: ChatState, rest: str) -> None:
    what, _, value = rest.partition(" ")
    if what == "parameter":
        _set_parameter(state.session, value.strip())
    elif what == "system":
        state.session.system = new_system(value)
    elif not what:
        print(HELP_SET)
    elif not set_switch(state, what):
        raise CommandLineError(f"unknown setting {what!r}; /set lists them")


def new_system(value: str) -> str | None:
    """The system message that `/set system VALUE` asks for."""
    system = unquoted(value) or None
    print("Set the system message." if system else "There is no system message.")
    return system


def set_switch(state: Switches, what: str) -> bool:
    """Carries out `/set WHAT`; False when it is no switch."""
    if what in ("history", "nohistory"):
        state.set_history(what == "history")
    elif what in ("verbose", "quiet"):
        state.verbose = what == "verbose"
    else:
        return False
    print(f"Set {what}.")
    return True


@dataclass(frozen=True)
class Parameter:
    """What `/set parameter NAME VALUE` asks for; `typed` and `text` are the words for it."""

    flag: Flag
    typed: str
    text: str
    value: object


def read_parameter(
    rest: str, flags: Sequence[Flag], aliases: Mapping[str, str], shown: Sequence[str]
) -> Parameter | None:
    """`rest` without its value prints the parameters there are, and is None.

    aliases  name → keyword of a flag
    shown    the names that are printed
    """
    typed, _, text = rest.partition(" ")
    text = unquoted(text)
    if not typed or not text:
        print("\n".join(f"  /set parameter {name} VALUE" for name in shown))
        return None
    name = aliases.get(typed, typed)
    flag = next((flag for flag in flags if flag.keyword == name), None)
    if flag is None:
        raise CommandLineError(f"unknown parameter {typed!r}; /set parameter lists them")
    try:
        return Parameter(flag, typed, text, flag.parse(text))
    except ValueError as error:
        raise CommandLineError(f"{typed}: {error}") from None


def set_sampling(sampling: dict[str, Any], wish: Parameter) -> None:
    sampling[wish.flag.keyword] = [wish.value] if wish.flag.repeat else wish.value
    print(f"Set {wish.typed} to {escape_controls(wish.text)}.")


def _set_parameter(session: Session, rest: str) -> None:
    flags = (*SAMPLING, *ENGINE, *SPECULATION)
    wish = read_parameter(rest, flags, _PARAMETER_FLAGS, list(map(_parameter_name, flags)))
    if wish is None:
        return
    if wish.flag.group != "engine":
        set_sampling(session.sampling, wish)
        return
    session.load(session.path, {wish.flag.keyword: wish.value})
    what = f"Set {wish.typed} to {wish.text}"
    print(f"{what}; the model was loaded again and the conversation cleared.")


def _show(state: ChatState, what: str) -> None:
    session = state.session
    if what == "info":
        from pyllm.cli.show import show

        show(session.path)
    elif what == "parameters":
        values = {**session.sampling, **session.engine}
        for name, value in values.items():
            print(f"  {name:<24} {'default' if value in (None, ()) else value}")
    elif what == "system":
        print(escape_controls(session.system or "There is no system message."))
    elif what == "template":
        print(escape_controls(session.template or "The model has no chat template."))
    elif not what:
        print(HELP_SHOW)
    else:
        raise CommandLineError(f"unknown subject {what!r}; /show lists them")


_COMMANDS: dict[str, Callable[[ChatState, str], None]] = {
    "/?": _help,
    "/help": _help,
    "/set": _set,
    "/show": _show,
    "/load": _load,
    "/clear": _clear,
}


def _parameter_name(flag: Flag) -> str:
    ollamas = {ours: name for name, ours in _PARAMETER_FLAGS.items()}
    return ollamas.get(flag.keyword, flag.keyword)


def unquoted(value: str) -> str:
    """A value without the quotes that may stand around it."""
    value = value.strip()
    quoted = len(value) >= 2 and value[0] == value[-1] == '"'
    return value[1:-1] if quoted else value
