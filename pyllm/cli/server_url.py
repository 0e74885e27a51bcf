"""Addresses of OpenAI-compatible servers, as people type them."""

from __future__ import annotations

__all__ = ["is_loopback", "server_url"]

_ENDPOINT = "/chat/completions"


def server_url(typed: str) -> str:
    """The address that `/models` and `/chat/completions` follow, without a slash at its end.

    The scheme may be left out, and `/v1` where nothing else follows the host. ValueError says what
    is wrong; passwords have no place in an address, because it is shown and logged.
    """
    from urllib.parse import urlsplit

    text = typed.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{typed!r} is no address: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{typed!r} is no address of a server; allowed: http:// and https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address holds a name or password; give a key with --api-key")
    if not host or not text.isprintable() or " " in text or not text.isascii():
        raise ValueError(f"{typed!r} is no address; allowed: one like http://127.0.0.1:8000")
    if parts.query or parts.fragment:
        raise ValueError(f"{typed!r} has a part behind the path; leave out ? and #")
    path = parts.path.rstrip("/").removesuffix(_ENDPOINT)
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def is_loopback(url: str) -> bool:
    """Whether what is sent to `url` stays on this machine."""
    import ipaddress
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
