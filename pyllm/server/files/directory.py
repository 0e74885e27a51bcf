"""A private directory for as long as a process lives, and what dead ones left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

_PREFIX = "pyllm-files-"
_SETTLED_SECONDS = 60.0  # a younger one may not be locked yet by the process that made it


class PrivateDirectory:
    """A new directory in `parent`, for its owner alone, locked until `close` removes it.

    Directories of servers that were killed are removed first: they are not locked any more.

    parent  None: the system's place for temporary files; else made when it is not there
    Raises OSError.
    """

    def __init__(self, parent: Path | None) -> None:
        if parent is not None:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = Path(tempfile.gettempdir()) if parent is None else parent
        _remove_left_behind(place)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def replace_file(path: Path, data: bytes) -> None:
    """`path` holds all of `data`, for its owner alone, or what it held before. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    new.replace(path)


def _remove_left_behind(place: Path) -> None:
    for found in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or removed meanwhile
            _remove_unlocked(found)


def _remove_unlocked(path: Path) -> None:
    # Not through a link: in a place for all, anybody may have put one there.
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(lock)
        private = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700
        if private and time.time() - status.st_ctime > _SETTLED_SECONDS:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
