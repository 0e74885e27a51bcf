"""The files of the persistent prefix cache: private, bounded, shared by processes.

    DIR/lock              held while files are made and removed
    DIR/<identity>/*.kv   segments with blocks of one model, build and layout

A process appends to a segment of its own, which it keeps locked. The time of modification says
when a segment was written or used last; the least recently used go when room is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from pyllm.errors import RequestError

__all__ = ["PrefixDirectory"]

SPARE_BYTES = 1 << 30  # of disk space that stay free
_SUFFIX = ".kv"
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a link or a pipe is nothing of ours


class PrefixDirectory:
    """Raises RequestError when others may write to the directory, OSError when we may not."""

    def __init__(self, root: Path, identity: bytes, max_bytes: int, segment_bytes: int) -> None:
        self.root = root
        self.path = root / identity.hex()
        self.max_bytes = max_bytes
        self.segment_bytes = segment_bytes
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = root.stat().st_mode
        if mode & 0o022 and not mode & stat.S_ISVTX:
            raise RequestError("prefix_cache_dir", str(root), "must not be writable by others")
        self.path.mkdir(mode=0o700, exist_ok=True)
        status = self.path.stat(follow_symlinks=False)
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if not ours or status.st_mode & 0o077:
            limit = "must be a directory that only its owner, you, can enter"
            raise RequestError("prefix_cache_dir", str(self.path), limit)

    def segments(self) -> list[Path]:
        """This identity's files, least recently used first."""
        return [path for _, _, path in _by_age(self.path.glob(f"*{_SUFFIX}"))]

    @staticmethod
    def open(path: Path, flags: int = os.O_RDONLY) -> int:
        """A descriptor of a segment; OSError when it is gone or no regular file."""
        descriptor = os.open(path, flags | _FLAGS)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(None, "is no regular file", str(path))
        return descriptor

    def open_for_writing(self) -> tuple[Path, int]:
        """A locked segment that is not full: one that was left so, or a new one.

        OSError when there is no room that may be used.
        """
        with self._locked():
            for path in reversed(self.segments()):
                if path.stat().st_size < self.segment_bytes // 2:
                    descriptor = self.open(path, os.O_RDWR)
                    if _lock(descriptor):
                        return path, descriptor
                    os.close(descriptor)
            self._make_room()
            path = self.path / f"{time.time_ns():016x}-{os.urandom(4).hex()}{_SUFFIX}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
            _lock(descriptor)
            return path, descriptor

    def _make_room(self) -> None:
        """Remove segments of any identity until a full one fits."""
        needed = self.segment_bytes
        kept = _by_age(self.root.glob(f"*/*{_SUFFIX}"))
        being_written = {path for _, _, path in kept if _is_locked(path)}
        total = needed + sum(
            max(size, self.segment_bytes) if path in being_written else size
            for _, size, path in kept
        )
        for _, size, path in kept:
            if total <= self.max_bytes and _free_bytes(self.root) >= needed + SPARE_BYTES:
                return
            if path not in being_written:
                path.unlink(missing_ok=True)
                total -= size
        if total > self.max_bytes or _free_bytes(self.root) < needed + SPARE_BYTES:
            raise OSError(None, f"no room for {needed} bytes more", str(self.root))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _by_age(paths: Iterator[Path]) -> list[tuple[int, int, Path]]:
    """(time of modification, size, path), oldest first, of the files that are still there."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat(follow_symlinks=False)
            found.append((status.st_mtime_ns, status.st_size, path))
    return sorted(found)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_locked(path: Path) -> bool:
    """Whether a living process writes to the segment."""
    try:
        descriptor = PrefixDirectory.open(path)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _free_bytes(path: Path) -> int:
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize
