"""Every limit of the edge, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class EdgeSettings:
    """What the edge lets in. Sizes are bytes, times are seconds.

    host, port, uds    where the server listens; a unix socket replaces host and port
    api_keys           any of them opens every route; empty: no key is needed
    key_secret         tenants are the same in all processes with the same one; None: in no other
    allow_unauthenticated  lets the server listen beyond this machine without a key
    allowed_hosts      names in the Host header, beside those that are always right (hosts.py)
    allowed_origins    web pages of other origins that may call, as "https://chat.example.com"
    upload_paths       their bodies go to disk in pieces, so max_upload_bytes applies to them
    max_buffered_bytes request bodies in memory at once, of all connections together
    max_connections    beyond it an idle connection makes room, or the new one is refused
    """

    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None

    api_keys: tuple[str, ...] = field(default=(), repr=False)
    key_secret: bytes | None = field(default=None, repr=False)
    allow_unauthenticated: bool = False
    session_s: float = 7 * 24 * 3600.0  # a log-in on the web page

    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()

    max_uri_bytes: int = 8 * KIB
    max_header_bytes: int = 32 * KIB
    max_headers: int = 100
    max_body_bytes: int = 8 * MIB
    max_buffered_bytes: int = 256 * MIB
    upload_paths: tuple[str, ...] = ("/v1/files",)
    max_upload_bytes: int = 512 * MIB

    max_connections: int = 1000
    header_timeout_s: float = 10.0
    body_idle_s: float = 30.0
    body_total_s: float = 300.0  # a byte now and then would hold a connection for ever
    keep_alive_s: int = 30
    unsent_s: float = 30.0  # an answer that nobody reads, or hardly

    shutdown_timeout_s: float = 30.0
