"""The two files that a batch writes: answers, and what went wrong."""

from __future__ import annotations

import asyncio

from pyllm.server.batch.job import BatchJob
from pyllm.server.files.store import FileStore, FileWriter, StoredFile


class BatchResults:
    """Of one batch; `discard` at the end, whatever happened. ApiError when the store is full."""

    def __init__(self, store: FileStore, job: BatchJob) -> None:
        self._job = job
        self._writing: asyncio.Task[None] | None = None
        self._answers = store.create(job.tenant, "batch_output")
        try:
            self._errors = store.create(job.tenant, "batch_output")
        except BaseException:
            self._answers.discard()
            raise

    async def add(self, line: bytes, *, failed: bool) -> None:
        """Raises OSError and ApiError. Whoever is cancelled here has added the line."""
        await self._settle()
        writer = self._errors if failed else self._answers
        writer.reserve(len(line))
        self._job.count(failed=failed)
        self._writing = asyncio.create_task(asyncio.to_thread(writer.write, line))
        await self._settle()

    async def keep(self) -> None:
        """The files that have lines can be read from here on. Raises OSError."""
        await self._settle()
        self._job.output = self._kept(self._answers, "output")
        self._job.error_output = self._kept(self._errors, "error")

    def discard(self) -> None:
        """What was not kept."""
        self._answers.discard()
        self._errors.discard()

    async def _settle(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)
            self._writing = None

    def _kept(self, writer: FileWriter, kind: str) -> StoredFile | None:
        return None if writer.is_empty else writer.keep(f"{self._job.id}_{kind}.jsonl")
