"""`pyllm chat --url URL [PROMPT]`: what `pyllm run` is for a model, for a server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.chat_answer import print_chat_answer
from pyllm.cli.chat_conversation import Conversation
from pyllm.cli.chat_errors import ServerError
from pyllm.cli.chat_server import ChatServer
from pyllm.cli.chat_slash import ServerChat
from pyllm.cli.question import read_question
from pyllm.cli.server_url import is_loopback
from pyllm.cli.structure import structure_of
from pyllm.cli.terminal import note

__all__ = ["chat"]


def chat(
    model: str | None,
    *,
    prompt_words: str | None,
    url: str,
    api_key: str | None,
    prompt: str | None,
    file: str | None,
    system_prompt: str | None,
    verbose: bool,
    no_history: bool,
    json_schema: str | None,
    reasoning_effort: str | None,
    timeout: float,
    max_retries: int,
    sampling: Mapping[str, Any],
) -> int:
    """Runs the command; returns its exit code."""
    question = read_question(prompt_words, prompt, file)
    options = _options(json_schema, reasoning_effort)
    key = _key(url, api_key)
    server = ChatServer(url, key, timeout_s=timeout, max_retries=max_retries)
    with contextlib.closing(server):
        name = model or _first_model(server, told=question is None or verbose)
        conversation = Conversation(server, name, sampling, system=system_prompt, options=options)
        if question is None:
            _chat(conversation, verbose=verbose, history=not no_history)
            return 0
        print_chat_answer(conversation, question, verbose=verbose)
        # Whoever gave -n knows of it; half a JSON document needs a word all the same.
        told = sampling.get("max_tokens") is None or json_schema is not None
        if conversation.cut and told:
            note(f"the answer was cut: {conversation.cut}")
    return 0


def _chat(conversation: Conversation, *, verbose: bool, history: bool) -> None:
    from pyllm.cli.repl import chat as talk
    from pyllm.cli.repl import terminal_reader

    read_line, set_history = terminal_reader(history=history)
    partner = ServerChat(conversation, verbose=verbose, set_history=set_history)
    talk(partner, read_line)


def _options(json_schema: str | None, reasoning_effort: str | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    structure = structure_of(json_schema, None, None)
    if structure is not None:
        form = {"name": "answer", "schema": structure.json, "strict": True}
        options["response_format"] = {"type": "json_schema", "json_schema": form}
    if reasoning_effort is not None:
        options["reasoning_effort"] = reasoning_effort
    return options


def _key(url: str, given: str | None) -> str | None:
    """The key to send; whoever reads an unencrypted connection must not get one unasked."""
    readable = url.startswith("http:") and not is_loopback(url)
    key = given or os.environ.get("OPENAI_API_KEY")
    if not key:
        return None
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CommandLineError("the API key has a space or a character that no key has")
    if not readable:
        return key
    if given:
        note("the key is sent over http, where others can read it; https would hide it")
        return key
    note("OPENAI_API_KEY is not sent over http, where others can read it; --api-key sends a key")
    return None


def _first_model(server: ChatServer, *, told: bool) -> str:
    names = server.models()
    if not names:
        raise ServerError("the server has no models; load one there, or name one with --model")
    if told:
        more = f" (one of {len(names)}; /model lists them)" if len(names) > 1 else ""
        note(f"the model is {names[0][:200]}{more}")
    return names[0]
