"""API keys: where they come from, and whether a request carries one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyllm.errors import RequestError

_MAX_FILE_BYTES = 64 * 1024


def load_api_keys(
    given: Iterable[str], file: str | None, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Keys of --api-key, of --api-key-file (one a line, # comments) and of PYLLM_API_KEY.

    Raises RequestError when a key cannot be sent in a header; its text never shows the key.
    """
    keys = [(key, "api_key") for key in given]
    if file is not None:
        keys += [(key, "api_key_file") for key in _keys_in(file)]
    if environment.get("PYLLM_API_KEY"):
        keys.append((environment["PYLLM_API_KEY"], "PYLLM_API_KEY"))
    for key, source in keys:
        if not key or not all("!" <= char <= "~" for char in key):
            raise RequestError(source, None, "a key is printable ASCII without spaces, not empty")
    return tuple(dict.fromkeys(key for key, _ in keys))


def _keys_in(file: str) -> list[str]:
    with Path(file).open("rb") as stream:  # may be a pipe: `<(pass show pyllm)`
        text = stream.read(_MAX_FILE_BYTES + 1)
    if len(text) > _MAX_FILE_BYTES:
        raise RequestError("api_key_file", file, f"is longer than {_MAX_FILE_BYTES} bytes")
    lines = [line.strip() for line in text.decode("ascii", "replace").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise RequestError("api_key_file", file, "holds no key; one a line is expected")
    return keys


class KeyRing:
    """Recognises keys in a time that does not depend on how much of one was guessed right.

    Keys are compared as keyed digests of equal length, with compare_digest, and always with all
    of them. The key of the digests is secret, so nobody can prepare two texts whose digests start
    alike; None: random in each process.
    """

    def __init__(self, keys: Iterable[str], secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)
        self._tenants = {
            self._digest(b"key", key.encode()): self._digest(b"tenant", key.encode()).hex()
            for key in keys
        }

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def tenant(self, presented: bytes) -> str | None:
        """Salt of the key's owner, None when it is not one of the keys."""
        digest = self._digest(b"key", presented)
        found = None
        for known, tenant in self._tenants.items():
            if hmac.compare_digest(known, digest):
                found = tenant
        return found

    def _digest(self, purpose: bytes, text: bytes) -> bytes:
        return hmac.digest(self._secret, purpose + b"\0" + text, hashlib.sha256)
