"""The persistent tier of the prefix cache: full blocks on disk, found again after a restart.

A block is named by a digest of everything its bytes depend on: the build of pyllm, the model file
with its tokenizer, the layout of the pool, and all tokens up to its end. Whatever is damaged,
truncated, of another kind or gone is a miss. Reading and offering are for the engine's thread.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Protocol

from pyllm.errors import RequestError
from pyllm.kv.prefix_directory import PrefixDirectory
from pyllm.kv.prefix_index import PrefixIndex, Segment
from pyllm.kv.prefix_segment import Record, new_record, payload_of, scan, verified
from pyllm.kv.prefix_writer import Job, serve

__all__ = ["DEFAULT_BYTES", "PrefixStore", "StatePool", "identity_of"]

DEFAULT_BYTES = 8 << 30
SEGMENT_BYTES = 64 << 20
QUEUE_BYTES = 64 << 20  # of blocks that wait for the disk; what comes on top is written another day
READ_BYTES = 8 << 20  # of neighbouring records in one piece
HEADROOM = 8192  # of a record for its header and key
MARK_SECONDS = 60  # between two marks that a file is in use

Wanted = Sequence[tuple[bytes, bytes]]  # (digest, key) of blocks that follow each other


class StatePool(Protocol):
    """Where blocks live in memory; `layout` names all that their bytes mean."""

    @property
    def block_bytes(self) -> int: ...
    @property
    def layout(self) -> str: ...
    def copy_out(self, block: int, to: memoryview) -> None: ...
    def copy_in(self, block: int, source: memoryview) -> None: ...


def identity_of(*facts: bytes) -> bytes:
    """32 bytes that stand for all facts; none can pass for a part of another."""
    digest = blake2b(digest_size=32)
    for fact in (b"pyllm prefix cache 1", *facts):
        digest.update(len(fact).to_bytes(8, "little") + fact)
    return digest.digest()


class PrefixStore:
    """Raises RequestError for a directory that is not private, OSError for one that fails.

    directory  made when it is not there; several processes may use it at a time
    identity   of model and build (`identity_of`); the pool's layout is added to it
    max_bytes  at least one block; of all files in the directory, whatever model they belong to
    """

    def __init__(
        self, directory: Path, identity: bytes, pool: StatePool, max_bytes: int = DEFAULT_BYTES
    ) -> None:
        self.root = identity_of(identity, pool.layout.encode())  # digest of the empty chain
        segment_bytes = max(min(SEGMENT_BYTES, max_bytes // 8), pool.block_bytes + HEADROOM)
        if segment_bytes > max_bytes:
            limit = f"must be at least {segment_bytes}: a block of this model has as many bytes"
            raise RequestError("prefix_cache_bytes", max_bytes, limit)
        self.block_bytes = pool.block_bytes
        self._open_pool: StatePool | None = pool
        self._directory = PrefixDirectory(directory, self.root, max_bytes, segment_bytes)
        self._index = PrefixIndex(pool.block_bytes)
        for path in self._directory.segments():
            self._scan(path)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        thread = threading.Thread(
            target=serve,
            args=(self._jobs, self._directory, self._index),
            name="pyllm-prefix-writer",
            daemon=True,
        )
        thread.start()
        self._finalizer = weakref.finalize(self, _stop, thread, self._jobs)

    @property
    def _pool(self) -> StatePool:
        assert self._open_pool is not None, "the store is closed"
        return self._open_pool

    def __len__(self) -> int:
        """Blocks that this process could read."""
        return len(self._index)

    def __contains__(self, digest: bytes) -> bool:
        return self._index.find(digest) is not None

    def offer(self, digest: bytes, key: bytes, block: int) -> None:
        """Write a block some time soon, unless it is there already or the disk lags behind."""
        index = self._index
        if index.is_stopped or index.knows(digest) or index.pending_bytes >= QUEUE_BYTES:
            return
        record = new_record(key, self.block_bytes)
        self._pool.copy_out(block, payload_of(record, key))
        index.pending(digest, len(record))
        self._jobs.put(Job(record, digest, key))

    def read(self, wanted: Wanted) -> Iterator[memoryview]:
        """The bytes of the wanted blocks up to the first that cannot be had.

        Each is valid until the next is asked for.
        """
        buffer = memoryview(bytearray(0))
        while wanted and (run := self._run(wanted)):
            segment, records = run
            size = records[-1].end - records[0].offset
            if len(buffer) < size:
                buffer = memoryview(bytearray(size))
            try:
                complete = self._fill(segment.path, records[0].offset, buffer[:size])
            except OSError:  # gone, or this process has too many files open: no reason to remove it
                self._index.forget(segment)
                return
            at = 0
            for record, (digest, key) in zip(records, wanted, strict=False):
                length = record.end - record.offset
                payload = verified(buffer[at : at + length], digest, key) if complete else None
                if payload is None:
                    self._discard(segment)
                    return
                yield payload
                at += length
            wanted = wanted[len(records) :]

    def load(self, block: int, payload: memoryview) -> None:
        """Put bytes that `read` gave into a block of the pool."""
        self._pool.copy_in(block, payload)

    def mark_used(self, digests: Sequence[bytes]) -> None:
        """The files that hold these blocks of a chain go last when room is needed, its first block
        last of all: without it the others are of no use."""
        now = time.monotonic()
        found = (self._index.find(digest) for digest in reversed(digests))
        # Times of our own: the system's are as coarse as 4 ms, and these must differ.
        times = count(time.time_ns())
        for segment in dict.fromkeys(entry[0] for entry in found if entry):
            if now - segment.used_s > MARK_SECONDS:
                segment.used_s = now
                when = next(times)
                try:
                    os.utime(segment.path, ns=(when, when))
                except FileNotFoundError:  # removed to make room: written again when offered
                    self._index.forget(segment)
                except OSError:  # the mark is a hint, the blocks are as good without it
                    pass

    def close(self) -> None:
        """Write what is waiting, stop, and let go of the pool. May be repeated."""
        self._finalizer()
        self._open_pool = None

    def _scan(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            descriptor = self._directory.open(path)
            try:
                segment = self._index.segment(path)
                for record in scan(descriptor, self.block_bytes):
                    self._index.add(segment, record)
            finally:
                os.close(descriptor)

    def _run(self, wanted: Wanted) -> tuple[Segment, list[Record]] | None:
        """The first wanted records, as far as they follow each other in one file."""
        found = self._index.find(wanted[0][0])
        if found is None:
            return None
        segment, record = found
        records = [record]
        for digest, _ in wanted[1:]:
            following = self._index.find(digest)
            if following is None or following[0] is not segment:
                break
            if following[1].offset != records[-1].end:
                break
            if following[1].end - record.offset > READ_BYTES:
                break
            records.append(following[1])
        return segment, records

    def _fill(self, path: Path, offset: int, buffer: memoryview) -> bool:
        """Read from a segment; False when it ends before the buffer is full."""
        descriptor = self._directory.open(path)
        try:
            while buffer:
                size = os.preadv(descriptor, [buffer], offset)
                if size == 0:
                    return False
                buffer, offset = buffer[size:], offset + size
        finally:
            os.close(descriptor)
        return True

    def _discard(self, segment: Segment) -> None:
        """A file that is damaged anywhere is not trusted anywhere."""
        self._index.forget(segment)
        with contextlib.suppress(OSError):
            segment.path.unlink(missing_ok=True)


def _stop(thread: threading.Thread, jobs: queue.SimpleQueue[Job | None]) -> None:
    jobs.put(None)
    if thread is not threading.current_thread():
        thread.join()
