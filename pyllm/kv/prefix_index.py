"""Which block of a chain lies where on disk, as far as this process knows."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from pyllm.kv.prefix_segment import Record

__all__ = ["PrefixIndex", "Segment"]


@dataclass(slots=True, eq=False)
class Segment:
    """A file of records; `used_s` is when it was last marked as used, time.monotonic()."""

    path: Path
    digests: list[bytes] = field(default_factory=list)
    used_s: float = 0.0


class PrefixIndex:
    """Safe to use from the engine's thread and the writer's."""

    def __init__(self, payload_bytes: int) -> None:
        self.payload_bytes = payload_bytes
        self.pending_bytes = 0  # records that wait for the writer
        self.is_stopped = False  # the writer gave up
        self._lock = threading.Lock()
        self._records: dict[bytes, tuple[Segment, Record]] = {}
        self._segments: dict[Path, Segment] = {}
        self._pending: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._records)

    def find(self, digest: bytes) -> tuple[Segment, Record] | None:
        return self._records.get(digest)

    def knows(self, digest: bytes) -> bool:
        """Whether the block is on disk or on its way there."""
        return digest in self._records or digest in self._pending

    def pending(self, digest: bytes, size: int) -> None:
        with self._lock:
            self._pending.add(digest)
            self.pending_bytes += size

    def finished(self, digest: bytes, size: int) -> None:
        """The writer is done with it, for better or worse."""
        with self._lock:
            self._pending.discard(digest)
            self.pending_bytes -= size

    def segment(self, path: Path) -> Segment:
        with self._lock:
            return self._segments.setdefault(path, Segment(path))

    def add(self, segment: Segment, record: Record) -> None:
        with self._lock:
            if record.digest not in self._records and segment.path in self._segments:
                self._records[record.digest] = segment, record
                segment.digests.append(record.digest)

    def forget(self, segment: Segment) -> None:
        """Its file is gone or damaged: none of its blocks can be had any more."""
        with self._lock:
            self._segments.pop(segment.path, None)
            for digest in segment.digests:
                del self._records[digest]
            segment.digests.clear()
