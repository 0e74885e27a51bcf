"""CPU quota and memory limit of the control group this process runs in (Linux, v1 and v2).

A container shows all CPUs and all memory of its host; its real share is written in cgroup files.
Limits are inherited, so every level from our own group up to the mount is read and the smallest
one counts. `root` is "/" except in tests, which build a small tree of /proc and /sys files.
Format of the files: cgroups(7), proc(5) "mountinfo".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = ["cpu_quota", "memory_limit"]

# v1 writes "no limit" as the largest page-aligned int64; nothing above an exabyte is a real limit.
_UNLIMITED_BYTES = 1 << 60


class _Mount(NamedTuple):
    kind: str  # "cgroup" (v1) or "cgroup2"
    top: PurePosixPath  # the group that is visible at the mount point
    point: Path
    controllers: frozenset[str]  # v1: what the hierarchy controls; v2: empty


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs this process may use at once on average (1.5 = one and a half), None without a limit."""
    return _smallest(root, "cpu", _quota_v1, _quota_v2)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes of memory this process's control group may hold, None without a limit."""
    limit = _smallest(root, "memory", _memory_v1, _memory_v2)
    return None if limit is None else int(limit)


def _smallest(
    root: Path,
    controller: str,
    read_v1: Callable[[Path], float | None],
    read_v2: Callable[[Path], float | None],
) -> float | None:
    found = []
    for mount, group in _own_groups(root, controller):
        read = read_v2 if mount.kind == "cgroup2" else read_v1
        found += [limit for level in _levels(mount, group) if (limit := read(level)) is not None]
    return min(found, default=None)


def _own_groups(root: Path, controller: str) -> Iterator[tuple[_Mount, PurePosixPath]]:
    """Every mounted hierarchy that may limit `controller`, with our group's path in it."""
    mounts = list(_mounts(root))
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")  # "4:memory:/path"; v2 has no names: "0::/path"
        names, _, path = rest.partition(":")
        kind = "cgroup" if names else "cgroup2"
        if names and controller not in names.split(","):
            continue
        for mount in mounts:
            if mount.kind == kind and (kind == "cgroup2" or controller in mount.controllers):
                yield mount, PurePosixPath(path)


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, filesystem = line.partition(" - ")
        place, options = fields.split(), filesystem.split()
        if len(place) < 5 or len(options) < 3 or options[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = frozenset(options[2].split(","))
        yield _Mount(options[0], PurePosixPath(place[3]), root / place[4].lstrip("/"), controllers)


def _levels(mount: _Mount, group: PurePosixPath) -> Iterator[Path]:
    """Directories from our own group up to the mount point."""
    # A container without its own cgroup namespace sees host paths here but only its own group at
    # the mount point; then the mount point is all there is to read.
    inside = group.is_relative_to(mount.top) and ".." not in group.parts
    relative = group.relative_to(mount.top) if inside else PurePosixPath()
    level = mount.point / relative
    while level != mount.point:
        yield level
        level = level.parent
    yield mount.point


def _quota_v2(group: Path) -> float | None:
    words = _words(group / "cpu.max")  # "150000 100000" or "max 100000", microseconds
    if len(words) != 2 or not words[0].isdigit() or not words[1].isdigit():
        return None
    return int(words[0]) / int(words[1]) if int(words[1]) > 0 else None


def _quota_v1(group: Path) -> float | None:
    quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    if quota is None or period is None or quota <= 0 or period <= 0:
        return None  # -1 = no limit
    return quota / period


def _memory_v2(group: Path) -> float | None:
    return _number(group / "memory.max")  # "max" = no limit


def _memory_v1(group: Path) -> float | None:
    limit = _number(group / "memory.limit_in_bytes")
    return limit if limit is not None and limit < _UNLIMITED_BYTES else None


def _number(path: Path) -> int | None:
    words = _words(path)
    try:
        return int(words[0]) if words else None
    except ValueError:
        return None


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []  # not Linux, or a sandbox that hides the file: no limit is known
