"""The flags of `pyllm serve`: group "edge" is for EdgeSettings, "server" for ServerSettings."""

from __future__ import annotations

from pyllm.cli.flags import Flag
from pyllm.cli.values import byte_size, choice, duration, integer, text

__all__ = ["SERVER"]

_EDGE = (
    Flag(("--host",), "address to listen on", text, "ADDRESS", "127.0.0.1", "edge"),
    Flag(("--port",), "port; 0 takes a free one", integer(0, 65535), "N", 8000, "edge"),
    Flag(("--uds",), "listen on this unix socket instead", text, "PATH", None, "edge"),
    Flag(
        ("--api-key",),
        "a key that requests must bring; may be given several times",
        text,
        "KEY",
        None,
        "edge",
        repeat=True,
    ),
    Flag(("--api-key-file",), "read keys from a file, one a line", text, "FILE", None, "edge"),
    Flag(
        ("--allow-unauthenticated",),
        "listen beyond this machine without a key",
        group="edge",
    ),
    Flag(
        ("--allowed-host",),
        "a further name clients may call this server by; may be given several times",
        text,
        "NAME",
        None,
        "edge",
        repeat=True,
    ),
    Flag(
        ("--allowed-origin",),
        "a web page that may call this server; may be given several times",
        text,
        "ORIGIN",
        None,
        "edge",
        repeat=True,
    ),
    Flag(
        ("--shutdown-timeout",),
        "how long requests may go on after SIGTERM",
        duration,
        "TIME",
        30.0,
        "edge",
    ),
)

_MODELS = (
    Flag(
        ("-a", "--alias", "--served-model-name"),
        "a further name of the first model; may be given several times",
        text,
        "NAME",
        None,
        "server",
        repeat=True,
    ),
    Flag(
        ("--keep-alive",),
        "how long a model stays loaded when nobody uses it (default: 5m; one model: for ever)",
        duration,
        "TIME",
        None,
        "server",
    ),
    Flag(
        ("--memory-budget",),
        "memory for all loaded models together, as 12G (default: what is free)",
        byte_size,
        "BYTES",
        None,
        "server",
    ),
    Flag(
        ("--max-num-queued-requests",),
        "requests that may wait; further ones are told to come again",
        integer(0, 2**31 - 1),
        "N",
        64,
        "server",
    ),
    Flag(
        ("--max-num-queued-tokens",),
        "tokens of all prompts that may wait",
        integer(0, 2**62),
        "N",
        2**20,
        "server",
    ),
    Flag(
        ("--request-timeout",),
        "how long a request may take (default: any time)",
        duration,
        "TIME",
        None,
        "server",
    ),
    Flag(
        ("--allow-request-templates",),
        "requests may bring a chat template and variables for it",
        group="server",
        argument="request_templates",
    ),
    Flag(
        ("--log-format",),
        "of the log of requests: text or json",
        choice("text", "json"),
        "FORMAT",
        "text",
        "server",
    ),
)

_BATCHES = (
    Flag(
        ("--files-dir",),
        "keep uploaded files and batches here, also for the next server (default: until the end)",
        text,
        "DIR",
        None,
        "server",
    ),
    Flag(("--max-files",), "uploaded files to keep", integer(1, 10**6), "N", 1000, "server"),
    Flag(
        ("--max-file-bytes",),
        "size of all uploaded files together",
        byte_size,
        "BYTES",
        8 * 2**30,
        "server",
    ),
    Flag(
        ("--batch-concurrency",),
        "lines of batches to answer at a time, when nobody else waits",
        integer(1, 1024),
        "N",
        4,
        "server",
    ),
)

SERVER = (*_EDGE, *_MODELS, *_BATCHES)
