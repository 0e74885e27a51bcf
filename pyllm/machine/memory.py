"""How much memory this process may still take: the machine's and the control group's limit."""

from __future__ import annotations

from pathlib import Path

from pyllm.machine import cgroup

__all__ = ["available_memory"]

_KIB = 1024


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that can be taken without swapping, None when the system does not say.

    Linux counts page cache that it can drop as available ("MemAvailable", proc(5)).
    """
    machine = _field(root / "proc/meminfo", "MemAvailable")
    limit = cgroup.memory_limit(root)
    if limit is not None:
        limit = max(0, limit - (_field(root / "proc/self/status", "RssAnon") or 0))
    known = [bytes_ for bytes_ in (machine, limit) if bytes_ is not None]
    return min(known, default=None)


def _field(path: Path, name: str) -> int | None:
    """Bytes of a line "MemAvailable:  123 kB"."""
    try:
        lines = path.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key == name and value.split()[:1] and value.split()[0].isdigit():
            return int(value.split()[0]) * _KIB
    return None
