"""The two files that a batch writes: answers, and what went wrong."""

from __future__ import annotations

import asyncio

from pyllm.server.batch.done_lines import done_lines
from pyllm.server.batch.job import BatchJob
from pyllm.server.files.store import FileStore, FileWriter, StoredFile

_PURPOSE = "batch_output"


class BatchResults:
    """Of one batch; `discard` or `leave` at the end, whatever happened."""

    def __init__(self, job: BatchJob, answers: FileWriter, errors: FileWriter) -> None:
        self._job = job
        self._writing: asyncio.Task[None] | None = None
        self._answers = answers
        self._errors = errors
        job.answers_id, job.errors_id = answers.file_id, errors.file_id

    @classmethod
    def create(cls, store: FileStore, job: BatchJob) -> BatchResults:
        """ApiError when the store is full."""
        answers = store.create(job.tenant, _PURPOSE)
        try:
            return cls(job, answers, store.create(job.tenant, _PURPOSE))
        except BaseException:
            answers.discard()
            raise

    @classmethod
    async def reopen(cls, store: FileStore, job: BatchJob) -> BatchResults:
        """Those that a server before this one began; `job` counts what is in them. OSError."""
        assert store.kept is not None
        assert job.answers_id is not None
        assert job.errors_id is not None
        ids = (job.answers_id, job.errors_id)
        paths = (store.kept / ids[0], store.kept / ids[1])
        done = await asyncio.to_thread(done_lines, job.id, job.input.path, paths)
        job.completed, job.failed = done[0].lines, done[1].lines
        answers = store.reopen(job.tenant, _PURPOSE, ids[0], done[0].bytes)
        try:
            return cls(job, answers, store.reopen(job.tenant, _PURPOSE, ids[1], done[1].bytes))
        except BaseException:
            answers.leave()
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

    async def leave(self) -> None:
        """As they are, for the next server. Raises OSError."""
        await self._settle()
        self._answers.leave()
        self._errors.leave()

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
