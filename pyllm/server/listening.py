"""Where the server listens: who can reach it there, and the sockets."""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
from ipaddress import ip_address
from pathlib import Path

from pyllm.errors import RequestError
from pyllm.server.edge.settings import EdgeSettings

_UNIX_MODE = 0o600  # whoever may connect may use the models; chmod lets more in


def check_exposure(settings: EdgeSettings) -> None:
    """Raises RequestError when strangers could use the models without a key.

    175 000 servers of this kind stand open on the internet because nothing asked.
    """
    if settings.api_keys or settings.allow_unauthenticated or settings.uds is not None:
        return
    addresses = [str(address[0]) for _, address in _resolved(settings)]
    if not all(ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        text = (
            "other machines can reach this address, so an API key is needed (--api-key, "
            "--api-key-file or PYLLM_API_KEY); --allow-unauthenticated serves anyone without one"
        )
        raise RequestError("host", settings.host, text)


def open_sockets(settings: EdgeSettings) -> list[socket.socket]:
    """Bound sockets, not yet listening. Port 0 becomes one free port, the same for all.

    Raises RequestError when an address cannot be had, OSError for a path that cannot be made.
    """
    if settings.uds is not None:
        return [_unix_socket(settings.uds)]
    sockets: list[socket.socket] = []
    port = settings.port
    try:
        for family, address in _resolved(settings):
            sockets.append(_tcp_socket(family, (address[0], port, *address[2:]), settings))
            port = sockets[0].getsockname()[1]
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def remove_unix_socket(settings: EdgeSettings) -> None:
    if settings.uds is not None:
        with contextlib.suppress(OSError):
            Path(settings.uds).unlink()


def _resolved(settings: EdgeSettings) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(
            settings.host or None,
            settings.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except (OSError, UnicodeError):
        raise RequestError("host", settings.host, "is not a name or address known here") from None
    unique = dict.fromkeys((family, address) for family, _, _, _, address in found)
    return [(family, address) for family, address in unique]  # type: ignore[misc]


def _tcp_socket(
    family: socket.AddressFamily, address: tuple[object, ...], settings: EdgeSettings
) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named: with it, a piece of an
    # answer waits up to 40 ms until the client has acknowledged the piece before.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # "::" beside "0.0.0.0", not instead of it
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        return opened
    except OSError as error:
        opened.close()
        raise _bind_error(error, settings) from None


def _bind_error(error: OSError, settings: EdgeSettings) -> RequestError:
    if error.errno == errno.EADDRINUSE:
        text = f"another program listens there on {settings.host}; --port 0 takes any free port"
        return RequestError("port", settings.port, text)
    if error.errno == errno.EACCES:
        return RequestError("port", settings.port, "needs privileges; ports from 1024 do not")
    if error.errno == errno.EADDRNOTAVAIL:
        return RequestError("host", settings.host, "is not an address of this machine")
    return RequestError("host", settings.host, error.strerror or "cannot be listened on")


def _unix_socket(path: str) -> socket.socket:
    _remove_stale(path)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.bind(path)
        Path(path).chmod(_UNIX_MODE)  # nobody can connect before it listens
        return opened
    except OSError as error:
        opened.close()
        text = error.strerror or str(error)  # "AF_UNIX path too long" comes without an errno
        raise RequestError("uds", path, text) from None


def _remove_stale(path: str) -> None:
    """Removes the socket of a server that is gone; anything else at `path` is an error."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise RequestError("uds", path, "exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            raise RequestError("uds", path, "another program listens there")
    Path(path).unlink()
