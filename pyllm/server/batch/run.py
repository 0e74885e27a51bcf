"""One batch from its first line to its last, or to where it was cancelled or ran out of time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import aclosing
from functools import partial
from itertools import islice
from typing import BinaryIO

from pyllm.server.batch.done_lines import line_id
from pyllm.server.batch.endpoints import Answer, Endpoints
from pyllm.server.batch.in_order import in_order
from pyllm.server.batch.job import BatchJob
from pyllm.server.batch.line_reader import RawLine, read_lines
from pyllm.server.batch.request_line import LineError, RequestLine, read_request_line
from pyllm.server.batch.result_line import answered, not_asked
from pyllm.server.batch.results import BatchResults
from pyllm.server.batch.spare_time import BATCH_PRIORITY, SpareTime
from pyllm.server.batch.validation import count_requests
from pyllm.server.edge.guard import new_request_id
from pyllm.server.files.store import FileStore
from pyllm.server.off_loop import off_loop
from pyllm.server.service import Caller

_OK = 200
_GIVEN_UP = {
    "cancelled": LineError("batch_cancelled", "the batch was cancelled before this request"),
    "expired": LineError("batch_expired", "the batch ran out of time before this request"),
}


class BatchRun:
    """`run` it once, in a task; `cancel` may be called meanwhile.

    active    how many batches may be at work; others wait
    counting  who may read a whole file to check it: threads are there for others too
    window    lines that are worked on or wait for one before them
    """

    def __init__(
        self,
        job: BatchJob,
        endpoints: Endpoints,
        store: FileStore,
        spare_time: SpareTime,
        active: asyncio.Semaphore,
        counting: asyncio.Lock,
        window: int,
    ) -> None:
        self._job = job
        self._endpoints = endpoints
        self._store = store
        self._spare_time = spare_time
        self._active = active
        self._counting = counting
        self._window = window
        self._results: BatchResults | None = None
        self._work: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Give up the lines that are worked on; `run` then writes down which were not."""
        self._job.become("cancelling")
        if self._work is not None:
            self._work.cancel()

    async def run(self) -> None:
        """Raises InvalidBatch, ApiError and OSError; nothing is kept then."""
        server_ends = False
        try:
            await self._finish(await self._until_end())
        except asyncio.CancelledError:
            server_ends = True
            raise
        finally:
            if self._work is not None:
                self._work.cancel()
                await asyncio.gather(self._work, return_exceptions=True)
            if self._results is not None:
                if server_ends and self._store.kept is not None:
                    await self._results.leave()
                self._results.discard()

    async def _until_end(self) -> str:
        """The status that it ends with."""
        if self._job.answers_id is not None:  # a server before this one was at work on it
            async with self._counting:  # it reads all of the files, as counting does
                self._results = await BatchResults.reopen(self._store, self._job)
        if self._job.status == "cancelling":  # before its task had begun
            return "cancelled"
        self._work = asyncio.create_task(self._answer_all())
        left = max(0.0, self._job.expires_at - time.time())
        await asyncio.wait([self._work], timeout=left)
        if not self._work.done():
            self._work.cancel()
            await asyncio.wait([self._work])
        if not self._work.cancelled():
            self._work.result()
            return "completed"
        return "cancelled" if self._job.status == "cancelling" else "expired"

    async def _answer_all(self) -> None:
        async with self._active:
            job = self._job
            if self._results is None:
                async with self._counting:
                    job.total = await asyncio.to_thread(
                        count_requests, job.input.path, job.endpoint
                    )
                self._results = BatchResults.create(self._store, job)
                job.become("in_progress")
            with job.input.path.open("rb") as stream:
                lines = in_order(self._left(stream), self._answer, self._window)
                async with aclosing(lines):
                    async for line, failed in lines:
                        await self._results.add(line, failed=failed)

    def _left(self, stream: BinaryIO) -> Iterator[RawLine]:
        return islice(read_lines(stream), self._job.completed + self._job.failed, None)

    async def _answer(self, raw: RawLine) -> tuple[bytes, bool]:
        own_id, endpoint = line_id(self._job.id, raw), (self._job.endpoint,)
        try:
            request = await _read(raw, endpoint)
        except LineError as error:
            return not_asked(own_id, raw.number, error), True
        request_id = new_request_id()
        answer = await self._ask(request, Caller(self._job.tenant, request_id))
        line = answered(own_id, request.custom_id, request_id, answer)
        return line, answer.status != _OK

    async def _ask(self, request: RequestLine, caller: Caller) -> Answer:
        """A full queue is no answer: the line comes again when it should."""
        async with self._spare_time.place():
            while True:
                answer = await self._endpoints.ask(
                    request.url, request.body, caller, size=request.size, priority=BATCH_PRIORITY
                )
                if answer.retry_after is None:
                    return answer
                await asyncio.sleep(answer.retry_after)

    async def _finish(self, end: str) -> None:
        """Every line has one in the files, also those that nobody worked on."""
        job, results = self._job, self._results
        if results is not None:
            if end in _GIVEN_UP:
                with job.input.path.open("rb") as stream:
                    given_up = partial(self._given_up, end)
                    async with aclosing(in_order(self._left(stream), given_up, 1)) as lines:
                        async for line in lines:
                            await results.add(line, failed=True)
            if end != "cancelled":
                job.become("finalizing")
            await results.keep()
        job.become(end)

    async def _given_up(self, end: str, raw: RawLine) -> bytes:
        reason, custom_id = _GIVEN_UP[end], None
        try:
            custom_id = (await _read(raw, (self._job.endpoint,))).custom_id
        except LineError as wrong:
            custom_id = wrong.custom_id
        error = LineError(reason.code, reason.message, custom_id)
        return not_asked(line_id(self._job.id, raw), raw.number, error)


async def _read(raw: RawLine, urls: Collection[str]) -> RequestLine:
    return await off_loop(partial(read_request_line, raw, urls), len(raw.text or b""))
