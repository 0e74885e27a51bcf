"""The Host header: only the names this server is meant to be reached by.

A web page can make a browser connect to 127.0.0.1 under a name of its own (DNS rebinding), and
then counts as the same origin. The name it used is still in the Host header. Right are, with any
port: `localhost` and loopback addresses, the host the server was told to listen on, the address at
which the connection arrived, names of --allowed-host, and, when the server listens on all
addresses, the machine's own name and the names that containers know it by.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from pyllm.errors import RequestError
from pyllm.server.edge.asgi import App, Receive, Scope, Send, header_values
from pyllm.server.edge.refusal import Refusal, RenderRefusal, send_refusal
from pyllm.server.edge.settings import EdgeSettings

# How Docker and Podman call the machine from inside; nobody can register names below .internal.
_CONTAINER_NAMES = {"host.docker.internal", "host.containers.internal"}
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")


class HostCheck:
    """Refuses a request whose Host header is missing or names another server."""

    def __init__(self, app: App, settings: EdgeSettings, render: RenderRefusal) -> None:
        self._app = app
        self._render = render
        self._names = {_checked(name) for name in settings.allowed_hosts}
        if settings.uds is None:
            self._names.add(_normalized(settings.host))
            if is_wildcard(settings.host):
                self._names |= _machine_names() | _CONTAINER_NAMES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_right(scope):
            await self._app(scope, receive, send)
            return
        text = "the Host header is not a name of this server; --allowed-host NAME adds one"
        await send_refusal(scope, send, Refusal(403, "host_not_allowed", text), self._render)

    def _is_right(self, scope: Scope) -> bool:
        values = header_values(scope, b"host")
        host = split_authority(values[0])[0] if len(values) == 1 else ""
        if not host:
            return False
        local = (scope.get("server") or ("", None))[0]
        return host in self._names or is_loopback(host) or host == _normalized(local)


def split_authority(text: bytes) -> tuple[str, int | None]:
    """("127.0.0.1", 8000) of b"127.0.0.1:8000"; an empty name when it is not an authority."""
    match = _AUTHORITY.fullmatch(text.decode("latin-1"))
    if match is None or int(match[2] or 0) > 65535:
        return "", None
    return _normalized(match[1]), int(match[2]) if match[2] else None


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) can only mean this machine."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def is_wildcard(host: str) -> bool:
    """Whether listening on `host` means all addresses of the machine."""
    address = _address(host)
    return not host if address is None else address.is_unspecified


def _normalized(host: str) -> str:
    """Lower case, no final dot; addresses in their shortest form, IPv4 in IPv6 as IPv4."""
    address = _address(host)
    return host.lower().removesuffix(".") if address is None else str(address)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _checked(name: str) -> str:
    host, port = split_authority(name.encode("latin-1", "replace"))
    if not host or port is not None:
        raise RequestError("allowed_hosts", name, "must be a name or address without port or '*'")
    return host


def _machine_names() -> set[str]:
    name = _normalized(socket.gethostname())
    short = name.partition(".")[0]
    return {name, short, f"{short}.local"} - {""}
