"""The chat at the terminal: read a message, answer it or obey it, until /bye."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.interrupt import first_interrupt_only
from pyllm.cli.multiline import Message, MessageReader
from pyllm.cli.terminal import one_line
from pyllm.errors import ContextLengthError, PyLLMError

__all__ = ["Partner", "chat", "terminal_reader"]

ReadLine = Callable[[str], str]  # prompt → line; EOFError at the end, KeyboardInterrupt on Ctrl-C


class Partner(Protocol):
    """Whom the chat is with."""

    def answer(self, text: str) -> str | None:
        """Prints the answer to `text`; says why it ends before its end, None when it does not."""

    def obey(self, line: str) -> bool:
        """Carries out a /command; False when the chat is to end."""


def chat(partner: Partner, read_line: ReadLine) -> None:
    """Runs until /bye or the end of input; no failure of one message ends it."""
    reader = MessageReader()
    while True:
        try:
            message = reader.feed(read_line("... " if reader.is_open else ">>> "))
        except EOFError:
            return
        except KeyboardInterrupt:
            if not reader.is_open:
                _remark("Use Ctrl-D or /bye to leave.")
            reader.cancel()
            continue
        if message is None or not message.text.strip():
            continue
        with first_interrupt_only():
            if not _carried_out(partner, message):
                return


def _carried_out(partner: Partner, message: Message) -> bool:
    """Answers or obeys, and tells of failures; False when the chat is to end."""
    try:
        return _obey_or_answer(partner, message)
    except KeyboardInterrupt:
        _remark("(stopped)")
    except ContextLengthError as error:
        _complain(f"{error}; /clear starts anew")
    except (CommandLineError, PyLLMError, OSError) as error:
        _complain(str(error))
    return True


def _obey_or_answer(partner: Partner, message: Message) -> bool:
    if message.is_command:
        return partner.obey(message.text)
    if cut := partner.answer(message.text):
        _remark(f"(the answer was cut: {cut})")
    _remark("")
    return True


def _complain(text: str) -> None:
    _remark(f"error: {one_line(text)}")


def _remark(text: str) -> None:
    """What is not an answer goes to stderr: stdout may be a file of answers."""
    print(text, file=sys.stderr, flush=True)


def terminal_reader(*, history: bool) -> tuple[ReadLine, Callable[[bool], None]]:
    """Reads lines with editing and history; the second function switches the history file."""
    # Imported here: prompt_toolkit takes 100 ms that one-shot answers need not wait for.
    from prompt_toolkit import PromptSession
    from prompt_toolkit.formatted_text import HTML
    from prompt_toolkit.output import create_output

    from pyllm.cli.history import SwitchableHistory, open_history

    log = open_history(enabled=history)
    # The prompt goes to the terminal even when answers are redirected to a file.
    session: PromptSession[str] = PromptSession(
        history=log, output=create_output(always_prefer_tty=True)
    )

    def read_line(prompt: str) -> str:
        hint = HTML("<ansibrightblack>Send a message (/? for help)</ansibrightblack>")
        return session.prompt(prompt, placeholder=hint if prompt == ">>> " else "")

    def set_history(enabled: bool) -> None:
        if isinstance(log, SwitchableHistory):
            log.enabled = enabled

    return read_line, set_history
