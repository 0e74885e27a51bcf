"""Log-ins on the web page: a random name in a cookie stands for the key that was typed."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict

_MAX_SESSIONS = 256  # a key is needed to open one; the oldest makes room


class Sessions:
    """Open log-ins of this process. A restart ends them all.

    lifetime_s  seconds from the log-in until the key is asked for again
    """

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s = lifetime_s
        self._open: OrderedDict[bytes, tuple[float, str]] = OrderedDict()  # expiry, tenant

    def open(self, tenant: str) -> str:
        """Name of a new session, for the cookie."""
        name = secrets.token_urlsafe(32)
        self._open[_digest(name)] = (time.monotonic() + self._lifetime_s, tenant)
        if len(self._open) > _MAX_SESSIONS:
            self._open.popitem(last=False)
        return name

    def tenant(self, name: str) -> str | None:
        """Whose session it is, None when there is none. What is looked up is a digest, so the
        time of the look-up tells nothing about the names that exist."""
        expires, tenant = self._open.get(_digest(name), (0.0, None))
        return tenant if time.monotonic() < expires else None

    def close(self, name: str) -> None:
        self._open.pop(_digest(name), None)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
