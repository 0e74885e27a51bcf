"""`pyllm run MODEL [PROMPT]`: one answer when a prompt is given or piped in, else a chat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyllm.byte_size import byte_size
from pyllm.cli.answer import print_answer
from pyllm.cli.arguments import CommandLineError
from pyllm.cli.question import read_question
from pyllm.cli.session import Loader, Session, load_model
from pyllm.cli.slash import ChatState
from pyllm.cli.structure import structure_of
from pyllm.cli.terminal import note

__all__ = ["run"]


def run(
    model: Path,
    *,
    prompt_words: str | None,
    prompt: str | None,
    file: str | None,
    system_prompt: str | None,
    raw: bool,
    token_healing: bool,
    verbose: bool,
    no_history: bool,
    json_schema: str | None,
    grammar: str | None,
    grammar_file: str | None,
    engine: Mapping[str, Any],
    sampling: Mapping[str, Any],
    loader: Loader = load_model,
) -> int:
    """Runs the command; returns its exit code."""
    question = read_question(prompt_words, prompt, file)  # before loading: that takes a while
    if token_healing and not raw:
        raise CommandLineError("--token-healing is for completing text: give --raw too")
    if (structure := structure_of(json_schema, grammar, grammar_file)) is not None:
        sampling = {**sampling, "structured_outputs": structure}
    session = Session(
        model,
        engine,
        sampling,
        system=system_prompt,
        raw=raw,
        token_healing=token_healing,
        loader=loader,
    )
    try:
        if verbose:
            whole, one = session.llm.kv_cache_bytes, session.llm.kv_sequence_bytes
            sizes = f"up to {byte_size(whole)}, {byte_size(one)} for the longest text"
            note(f"keys and values take {sizes}")
        _explain_completion(session, raw)
        if question is not None:
            print_answer(session, question, verbose=verbose)
            # Whoever gave -n knows of it; half a JSON document needs a word all the same.
            told = sampling.get("max_tokens") is None or "structured_outputs" in sampling
            if session.cut and told:
                note(f"the answer was cut: {session.cut}")
        else:
            _chat(session, verbose=verbose, history=not no_history)
    finally:
        session.close()
    return 0


def _chat(session: Session, *, verbose: bool, history: bool) -> None:
    from pyllm.cli.repl import chat, terminal_reader

    read_line, set_history = terminal_reader(history=history)
    chat(ChatState(session, verbose=verbose, set_history=set_history), read_line)


def _explain_completion(session: Session, raw: bool) -> None:
    if not raw and session.template is None:
        note("the model has no chat template, so it completes text instead of chatting")
    if session.completes and session.system:
        note("the system message has no effect: it is part of a chat template")
