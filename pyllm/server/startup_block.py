"""The lines a server prints once, when it answers."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from pyllm.server.edge.hosts import is_wildcard
from pyllm.server.edge.settings import EdgeSettings


@dataclass(frozen=True)
class ServerFacts:
    """What is known about the models when the server starts.

    models  names that requests may use
    """

    models: tuple[str, ...]
    num_threads: int


def startup_block(
    settings: EdgeSettings, sockets: Sequence[socket.socket], facts: ServerFacts
) -> str:
    """What a person needs to begin; the log says more, of each model when it is loaded."""
    urls = server_urls(settings, sockets)
    lines = [
        f"pyllm serves {', '.join(facts.models) or 'no model yet'}",
        f"  page and APIs  {'  '.join(urls)}",
        f"  documentation  {urls[0]}/docs",
        f"  threads        {facts.num_threads}",
        f"  API key        {_key_line(settings)}",
    ]
    return "\n".join(lines)


def server_urls(settings: EdgeSettings, sockets: Sequence[socket.socket]) -> list[str]:
    """A URL a person can open for each socket; those of a wildcard name this machine."""
    if settings.uds is not None:
        return [f"http+unix://{settings.uds}"]
    return [_url(*listening.getsockname()[:2]) for listening in sockets]


def _url(host: str, port: int) -> str:
    if is_wildcard(host):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _key_line(settings: EdgeSettings) -> str:
    if settings.api_keys:
        return "needed: 'Authorization: Bearer KEY'"
    return (
        "not needed, by --allow-unauthenticated"
        if settings.allow_unauthenticated
        else ("not needed on this machine")
    )
