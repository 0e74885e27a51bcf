"""`pyllm serve`: from flags to settings, then the server until it is told to stop."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.model_path import resolve_model, whole_models
from pyllm.cli.speculation import SPECULATION_FIELDS, speculation
from pyllm.errors import printable
from pyllm.machine.threads import default_num_threads
from pyllm.server.edge import EdgeSettings, load_api_keys
from pyllm.server.settings import ModelSource, ServerSettings

if TYPE_CHECKING:
    from pyllm.server.metrics import ServerMetrics

_KEEP_ALIVE = 300.0  # seconds, as Ollama's
_MAX_NAME = 128


def serve(
    demo: Path | None,
    *,
    models: Sequence[str],
    engine: Mapping[str, Any],
    server: Mapping[str, Any],
    edge: Mapping[str, Any],
) -> int:
    """Runs until SIGTERM or SIGINT; returns the exit code."""
    from pyllm.server.app import create_app
    from pyllm.server.dialects import counted_refusals
    from pyllm.server.edge import Draining, wrap
    from pyllm.server.log_output import logging_to
    from pyllm.server.request_log import RequestLog
    from pyllm.server.runner import serve as run_server
    from pyllm.server.startup_block import ServerFacts

    if not models and demo is None:
        raise CommandLineError("no MODEL was given, and this pyllm has no model of its own")
    sources = find_models(models) if models else [ModelSource("pyllm-demo", demo or Path())]
    # The event loop competes with the engine's thread, and those that read prompts, for Python: a
    # thread that wants it waits this long at least (default: 5 ms).
    sys.setswitchinterval(0.001)
    settings, at_edge = read_settings(sources, engine, server), read_edge(edge)
    draining = Draining(at_edge.shutdown_timeout_s)
    inner = create_app(settings, draining=draining)
    at_edge = replace(at_edge, key_secret=inner.state.files.secret)
    metrics: ServerMetrics = inner.state.metrics
    refused = counted_refusals(metrics)
    app = RequestLog(wrap(inner, at_edge, draining, refused), metrics)
    names = tuple(source.name for source in sources)
    # What the modules made stays to the end: the garbage collector need not look at it again, each
    # time for as long as a step takes.
    gc.collect()
    gc.freeze()
    threads = engine["num_threads"] or default_num_threads()
    facts = ServerFacts(names, threads)
    with logging_to(settings.log_format):
        return run_server(
            app, at_edge, draining, refused, lambda: facts, lambda text: print(text, flush=True)
        )


def find_models(words: Sequence[str]) -> list[ModelSource]:
    """Each word is a file, NAME=FILE, or a directory of models. CommandLineError otherwise."""
    found: list[ModelSource] = []
    for word in words:
        name, given, path = word.partition("=")
        if given and "/" not in name and not Path(word).exists():
            found.append(ModelSource(_valid(name), resolve_model(path)))
        elif (directory := Path(word).expanduser()).is_dir():
            found += [ModelSource(_valid(file.stem), file) for file in whole_models(directory)]
        else:
            file = resolve_model(word)
            found.append(ModelSource(_valid(file.stem), file))
    names = [source.name for source in found]
    for name in names:
        if names.count(name) > 1:
            raise CommandLineError(f"two models are called {name}; name one with NAME=FILE")
    return found


def read_settings(
    sources: Sequence[ModelSource], engine: Mapping[str, Any], server: Mapping[str, Any]
) -> ServerSettings:
    """From the flags of the groups "engine" and "server"."""
    options = {name: value for name, value in engine.items() if name not in SPECULATION_FIELDS}
    options["speculative_config"] = speculation(engine) or False
    for name in ("max_num_queued_requests", "max_num_queued_tokens"):
        options[name] = server[name]
    aliases = tuple(_valid(name) for name in server["alias"] or ())
    first = ModelSource(sources[0].name, sources[0].path, aliases)
    keep_alive = server["keep_alive"]
    if keep_alive is None and len(sources) > 1:
        keep_alive = _KEEP_ALIVE
    return ServerSettings(
        models=(first, *sources[1:]),
        engine=options,
        keep_alive=keep_alive,
        memory_budget=server["memory_budget"],
        request_timeout=server["request_timeout"],
        request_templates=server["request_templates"],
        preload=len(sources) == 1,
        log_format=server["log_format"],
        files_dir=None if server["files_dir"] is None else Path(server["files_dir"]).expanduser(),
        max_files=server["max_files"],
        max_file_bytes=server["max_file_bytes"],
        batch_concurrency=server["batch_concurrency"],
    )


def read_edge(edge: Mapping[str, Any]) -> EdgeSettings:
    """From the flags of the group "edge". RequestError for keys that cannot be sent."""
    return EdgeSettings(
        host=edge["host"],
        port=edge["port"],
        uds=edge["uds"],
        api_keys=load_api_keys(edge["api_key"] or (), edge["api_key_file"], os.environ),
        allow_unauthenticated=edge["allow_unauthenticated"],
        allowed_hosts=tuple(edge["allowed_host"] or ()),
        allowed_origins=tuple(edge["allowed_origin"] or ()),
        shutdown_timeout_s=edge["shutdown_timeout"],
    )


def _valid(name: str) -> str:
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        limit = f"a model's name has 1 to {_MAX_NAME} printable characters"
        raise CommandLineError(f"{printable(name)}: {limit}")
    return name
