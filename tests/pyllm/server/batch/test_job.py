from __future__ import annotations

from pathlib import Path

from pyllm.server.batch.job import WINDOW_SECONDS, BatchJob
from pyllm.server.files.store import StoredFile


def test_whoever_is_told_of_a_status_finds_a_whole_job() -> None:
    """A server that is killed right behind it leaves what was written down then."""
    told: list[tuple[str, int]] = []
    file = StoredFile("file-1", None, "in.jsonl", "batch", Path("in"), 1)
    job = BatchJob(
        None,
        "/v1/completions",
        file,
        None,
        changed=lambda job: told.append((job.status, job.expires_at)),
    )
    job.become("in_progress")
    expires = job.times["validating"] + WINDOW_SECONDS
    assert told == [("validating", expires), ("in_progress", expires)]
