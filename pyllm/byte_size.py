"""Numbers of bytes as people read them."""

from __future__ import annotations

__all__ = ["byte_size"]


def byte_size(num_bytes: float) -> str:
    """In the unit that leaves at most four digits: "812 B", "1.5 MiB", "16.0 GiB"."""
    size = num_bytes
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
