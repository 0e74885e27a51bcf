"""A private directory that outlives the process, used by one server at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from pathlib import Path

from pyllm.errors import RequestError
from pyllm.server.files.directory import replace_file

_NAME = "pyllm-files"
_SECRET = "secret"
_SECRET_BYTES = 32


class KeptDirectory:
    """`pyllm-files` in `parent`, for its owner alone, locked until `close`.

    secret  random, the same as long as the directory exists: owners of files are named by it

    Raises OSError; RequestError when it is another server's, or others may look into it.
    """

    def __init__(self, parent: Path) -> None:
        self.path = parent / _NAME
        for directory in (parent, self.path):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._lock = os.open(self.path, flags)
        try:
            self._check(parent)
            self.secret = self._read_secret()
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        os.close(self._lock)

    def _check(self, parent: Path) -> None:
        status = os.fstat(self._lock)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            limit = f"its {_NAME} must be yours, and closed to others (chmod 700)"
            raise RequestError("files_dir", str(parent), limit)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError("files_dir", str(parent), "another server uses it") from None

    def _read_secret(self) -> bytes:
        path = self.path / _SECRET
        if not path.exists():
            replace_file(path, secrets.token_bytes(_SECRET_BYTES))
        return path.read_bytes()
