"""The thread that writes blocks to disk: behind the engine, never in the way of a step."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
from dataclasses import dataclass

from pyllm.errors import printable
from pyllm.kv.prefix_directory import PrefixDirectory
from pyllm.kv.prefix_index import PrefixIndex, Segment
from pyllm.kv.prefix_segment import Record, scan, seal

__all__ = ["Job", "serve"]


@dataclass(slots=True)
class Job:
    """A record to write; complete but for its header."""

    record: bytearray
    digest: bytes
    key: bytes


def serve(
    jobs: queue.SimpleQueue[Job | None], directory: PrefixDirectory, index: PrefixIndex
) -> None:
    """Write what arrives until None does. When writing fails, one line on stderr says why."""
    writer = _Writer(directory, index)
    while (job := jobs.get()) is not None:
        try:
            if not index.is_stopped:
                writer.append(job)
        except Exception as error:  # a thread that just ended would leave all later blocks waiting
            index.is_stopped = True
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            place = printable(str(getattr(error, "filename", None) or directory.root))
            sys.stderr.write(f"pyllm: prefixes are no longer kept on disk: {place}: {reason}\n")
        finally:
            index.finished(job.digest, len(job.record))
    writer.close()


class _Writer:
    """Appends to one segment, then to the next."""

    def __init__(self, directory: PrefixDirectory, index: PrefixIndex) -> None:
        self._directory = directory
        self._index = index
        self._segment: Segment | None = None
        self._descriptor = -1
        self._end = 0  # of the last whole record

    def append(self, job: Job) -> None:
        seal(job.record, job.digest, job.key)
        size = len(job.record)
        segment = self._segment
        if segment is None or self._is_full(size) or self._is_removed():
            segment = self._open()
        data = memoryview(job.record)
        while data:
            try:
                data = data[os.pwrite(self._descriptor, data, self._end + size - len(data)) :]
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._end)
                raise
        payload_bytes = size - (Record(job.digest, 0, len(job.key), 0).end)
        record = Record(job.digest, self._end, len(job.key), payload_bytes)
        self._end = record.end
        self._index.add(segment, record)

    def close(self) -> None:
        if self._segment is not None:
            os.close(self._descriptor)
            self._segment = None

    def _is_full(self, size: int) -> bool:
        return self._end > 0 and self._end + size > self._directory.segment_bytes

    def _is_removed(self) -> bool:
        return os.fstat(self._descriptor).st_nlink == 0

    def _open(self) -> Segment:
        """Another segment; of one that a killed process left, what follows the last whole record
        is cut off."""
        self.close()
        path, self._descriptor = self._directory.open_for_writing()
        self._segment = self._index.segment(path)
        self._end = 0
        for record in scan(self._descriptor, self._index.payload_bytes):
            self._index.add(self._segment, record)
            self._end = record.end
        os.ftruncate(self._descriptor, self._end)
        return self._segment
