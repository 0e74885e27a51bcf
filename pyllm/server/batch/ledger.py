"""What is known of every batch, on disk, so that the next server goes on with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pyllm.server.batch.job import BatchJob
from pyllm.server.files.directory import replace_file
from pyllm.server.files.store import FileStore, StoredFile

_log = logging.getLogger(__name__)

# Fields of a job as they are; its files are written by their ids.
_PLAIN = (
    "id", "status", "times", "errors", "total", "completed", "failed", "expires_at", "answers_id",
    "errors_id",
)  # fmt: skip


@dataclass(frozen=True)
class BatchLedger:
    """One file for each batch, beside those of `store`; none where it keeps nothing."""

    store: FileStore
    could_not_read: list[str] = field(default_factory=list)  # ids, by `load`

    def save(self, job: BatchJob) -> None:
        """As it is now. A disk that fails is logged: the batch itself goes on."""
        path = self._path(job)
        if path is None:
            return
        record = {name: getattr(job, name) for name in _PLAIN}
        record |= {"tenant": job.tenant, "endpoint": job.endpoint, "metadata": job.metadata}
        for name in ("input", "output", "error_output"):
            file: StoredFile | None = getattr(job, name)
            record[name] = file and file.id
        try:
            replace_file(path, json.dumps(record).encode())
        except OSError as error:
            _log.error("%s cannot be remembered: %s", job.id, error.strerror)

    def forget(self, job: BatchJob) -> None:
        """The batch is not remembered any more."""
        path = self._path(job)
        if path is not None:
            path.unlink(missing_ok=True)

    def load(self) -> Iterator[BatchJob]:
        """Those of servers before this one, oldest first. What cannot be read is logged."""
        found = []
        for path in [] if self.store.kept is None else self.store.kept.glob("batch_*.json"):
            try:
                job = self._job(json.loads(path.read_bytes()))
                found.append((job.times["validating"], job.id, job))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self.could_not_read.append(path.stem)
                _log.error("the record of the batch %s cannot be read: %r", path.stem, error)
        yield from (job for _, _, job in sorted(found, key=lambda item: item[:2]))

    def _job(self, record: dict[str, Any]) -> BatchJob:
        tenant = record["tenant"]
        known = partial(self.store.known, tenant)
        job = BatchJob(tenant, record["endpoint"], known(record["input"]), record["metadata"])
        job.output = record["output"] and known(record["output"])
        job.error_output = record["error_output"] and known(record["error_output"])
        for name in _PLAIN:
            setattr(job, name, record[name])
        return job

    def _path(self, job: BatchJob) -> Path | None:
        return None if self.store.kept is None else self.store.kept / f"{job.id}.json"
