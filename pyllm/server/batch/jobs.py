"""All batches of a server: each a task, all of them in the time that other requests leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from fastapi import FastAPI

from pyllm.errors import RequestError
from pyllm.server.batch.endpoints import Endpoints
from pyllm.server.batch.job import BatchJob
from pyllm.server.batch.ledger import BatchLedger
from pyllm.server.batch.run import BatchRun
from pyllm.server.batch.spare_time import SpareTime
from pyllm.server.batch.validation import InvalidBatch
from pyllm.server.errors import ApiError, as_api_error
from pyllm.server.files.store import FileStore
from pyllm.server.model_registry import ModelRegistry

_log = logging.getLogger(__name__)

MAX_JOBS = 1000  # that are remembered; the oldest that has ended makes room
_MAX_ACTIVE = 4  # others wait: each holds lines of up to 8 MiB in memory
_LINES_PER_PLACE = 2  # so that a long answer does not idle the places behind it


class BatchJobs:
    """Belongs to one event loop.

    app          whose routes answer the lines
    concurrency  lines of all batches that are worked on at a time
    """

    def __init__(
        self, app: FastAPI, registry: ModelRegistry, store: FileStore, concurrency: int
    ) -> None:
        self._app = app
        self._store = store
        self._spare_time = SpareTime(registry, concurrency)
        self._active = asyncio.Semaphore(_MAX_ACTIVE)
        self._counting = asyncio.Lock()
        self._window = concurrency * _LINES_PER_PLACE
        self._jobs: dict[str, BatchJob] = {}  # oldest first
        self._runs: dict[BatchJob, BatchRun] = {}  # of those that have not ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._ledger = BatchLedger(store)

    def resume(self) -> None:
        """Go on with what servers before this one left; what cannot be gone on with fails."""
        for job in self._ledger.load():
            job.changed = self._ledger.save
            self._jobs[job.id] = job
            if job.has_ended:
                continue
            if job.input.path.is_file():
                self._start(job)
            else:
                job.fail("input_file_lost", "the input file was gone when the server came back")
        if not self._ledger.could_not_read:  # else nobody knows which answers are needed
            begun = [(job.answers_id, job.errors_id) for job in self._runs]
            self._store.remove_unfinished({file_id for ids in begun for file_id in ids})

    def create(
        self,
        tenant: str | None,
        input_file_id: str,
        endpoint: str,
        metadata: Mapping[str, str] | None,
    ) -> BatchJob:
        """Starts one. ApiError when it cannot be."""
        endpoints = Endpoints(self._app)
        if endpoint not in endpoints.urls:
            allowed = f"must be {' or '.join(endpoints.urls)}"
            raise as_api_error(RequestError("endpoint", endpoint, allowed))
        file = self._store.get(tenant, input_file_id)
        if file.purpose != "batch":
            limit = 'must be a file with the purpose "batch"'
            raise as_api_error(RequestError("input_file_id", input_file_id, limit))
        self._make_room()
        job = BatchJob(tenant, endpoint, file, metadata, changed=self._ledger.save)
        self._jobs[job.id] = job
        self._start(job)
        return job

    def _start(self, job: BatchJob) -> None:
        job.input.users += 1
        self._runs[job] = BatchRun(
            job,
            Endpoints(self._app),
            self._store,
            self._spare_time,
            self._active,
            self._counting,
            self._window,
        )
        task = asyncio.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def get(self, tenant: str | None, batch_id: str) -> BatchJob:
        """ApiError when there is none, or it is another's."""
        job = self._jobs.get(batch_id)
        if job is None or job.tenant != tenant:
            message = f"there is no batch {batch_id[:100]!r}"
            raise ApiError(404, message, "not_found", param="batch_id")
        return job

    def list(self, tenant: str | None) -> list[BatchJob]:
        """Newest first."""
        return [job for job in reversed(self._jobs.values()) if job.tenant == tenant]

    def cancel(self, job: BatchJob) -> None:
        """ApiError when it has ended already, or is just about to."""
        if job.has_ended or job.status == "finalizing":
            message = f"the batch is {job.status} already"
            raise ApiError(409, message, "batch_ended", param="batch_id")
        if job.status != "cancelling":
            self._runs[job].cancel()

    async def close(self) -> None:
        """End all; where files are kept, the next server goes on with them."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _make_room(self) -> None:
        if len(self._jobs) < MAX_JOBS:
            return
        oldest = next((job for job in self._jobs.values() if job.has_ended), None)
        if oldest is None:
            message = f"{MAX_JOBS} batches are waiting already; try again when one has ended"
            raise ApiError(429, message, "too_many_batches", headers={"Retry-After": "60"})
        del self._jobs[oldest.id]
        self._ledger.forget(oldest)

    async def _run(self, job: BatchJob) -> None:
        try:
            await self._runs[job].run()
        except InvalidBatch as error:
            job.fail(error.code, error.message, error.line)
        except ApiError as error:
            job.fail(error.code or "failed", error.message)
        except OSError as error:
            _log.error("%s: %s", job.id, error.strerror)
            job.fail("storage_failed", "the server's disk failed, or is full; its log says more")
        except Exception:
            _log.exception("%s failed", job.id)
            job.fail("internal_error", "an unexpected error; the server's log has it")
        finally:
            del self._runs[job]
            job.input.users -= 1
