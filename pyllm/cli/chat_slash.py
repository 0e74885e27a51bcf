"""The /commands of a chat with a server: those of `pyllm run`, as far as a server has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.chat_answer import print_chat_answer
from pyllm.cli.chat_conversation import Conversation
from pyllm.cli.chat_flags import REMOTE_SAMPLING
from pyllm.cli.slash import (
    HELP_SET,
    Switches,
    dispatch,
    new_system,
    read_parameter,
    set_sampling,
    set_switch,
    show_help,
)
from pyllm.cli.terminal import escape_controls, one_line

__all__ = ["ServerChat"]

HELP = '''\
Available commands:
  /set                 what can be set
  /show                what can be shown
  /model               the server's models
  /model NAME          go on with another model
  /load NAME           switch to another model, start a new conversation
  /system TEXT         set the system message; without TEXT show it
  /clear               forget the conversation
  /bye, /exit          leave (also Ctrl-D)
  /?, /help            this list; /? set, /? show, /? shortcuts for more

Use """ to begin and end a message of several lines.'''

HELP_SHOW = """\
  /show info         the server and the model
  /show parameters   the parameters that were set; the server chooses the others
  /show system       the system message"""

_PARAMETER_FLAGS = {"num_predict": "max_tokens", "repeat_penalty": "repetition_penalty"}
_MAX_LISTED = 200


@dataclass
class ServerChat(Switches):
    """The conversation and the switches of the chat around it."""

    session: Conversation

    def answer(self, text: str) -> str | None:
        print_chat_answer(self.session, text, verbose=self.verbose)
        return self.session.cut

    def obey(self, line: str) -> bool:
        return dispatch(_COMMANDS, self, line)


def _help(_: ServerChat, topic: str) -> None:
    show_help(topic, HELP, HELP_SHOW)


def _clear(state: ServerChat, _: str) -> None:
    state.session.clear()
    print("Cleared the conversation.")


def _model(state: ServerChat, name: str) -> None:
    names = state.session.server.models()
    if not name:
        for known in names[:_MAX_LISTED]:
            print(f"{'*' if known == state.session.model else ' '} {one_line(known[:200])}")
        if len(names) > _MAX_LISTED:
            print(f"  … ({len(names)} models)")
        return
    if name not in names:
        raise CommandLineError(f"the server has no model {name!r}; /model lists them")
    state.session.model = name
    print(f"The model is {one_line(name)} now.")


def _load(state: ServerChat, name: str) -> None:
    if not name:
        raise CommandLineError("/load needs a model: /load NAME; /model lists them")
    _model(state, name)
    state.session.clear()


def _system(state: ServerChat, value: str) -> None:
    if value:
        state.session.system = new_system(value)
    else:
        _show(state, "system")


def _set(state: ServerChat, rest: str) -> None:
    what, _, value = rest.partition(" ")
    if what == "parameter":
        _set_parameter(state.session, value.strip())
    elif what == "system":
        state.session.system = new_system(value)
    elif not what:
        print(HELP_SET)
    elif not set_switch(state, what):
        raise CommandLineError(f"unknown setting {what!r}; /set lists them")


def _set_parameter(session: Conversation, rest: str) -> None:
    names = [flag.keyword for flag in REMOTE_SAMPLING]
    wish = read_parameter(rest, REMOTE_SAMPLING, _PARAMETER_FLAGS, names)
    if wish is not None:
        set_sampling(session.sampling, wish)


def _show(state: ServerChat, what: str) -> None:
    session = state.session
    if what == "info":
        print(f"  server  {session.server.url}\n  model   {one_line(session.model)}")
    elif what == "parameters":
        for name, value in session.sampling.items():
            print(f"  {name:<24} {'the server chooses' if value is None else value}")
    elif what == "system":
        print(escape_controls(session.system or "There is no system message."))
    elif not what:
        print(HELP_SHOW)
    else:
        raise CommandLineError(f"unknown subject {what!r}; /show lists them")


_COMMANDS: dict[str, Callable[[ServerChat, str], None]] = {
    "/?": _help,
    "/help": _help,
    "/set": _set,
    "/show": _show,
    "/model": _model,
    "/load": _load,
    "/system": _system,
    "/clear": _clear,
}
