"""/v1/batches: files of requests that are answered in the time that other requests leave."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field, StrictStr
from starlette.requests import Request
from starlette.responses import Response

from pyllm.server.batch.job import BatchJob
from pyllm.server.batch.jobs import BatchJobs
from pyllm.server.body import StrictRoute
from pyllm.server.openai.common import PlainJSON, caller_of
from pyllm.server.openai.pages import page
from pyllm.server.openai.protocol import Body
from pyllm.server.openai.schemas import BatchEntry, BatchList, Error, refusals

router = APIRouter(route_class=StrictRoute, tags=["OpenAI"])

_Key = Annotated[StrictStr, Field(max_length=64)]
_Value = Annotated[StrictStr, Field(max_length=512)]


class BatchRequest(Body):
    input_file_id: StrictStr = Field(max_length=128)
    endpoint: StrictStr = Field(max_length=64, description="the route that every line asks")
    completion_window: Literal["24h"]
    metadata: Annotated[dict[_Key, _Value], Field(max_length=16)] | None = None


def jobs_of(request: Request) -> BatchJobs:
    jobs: BatchJobs = request.app.state.batches
    return jobs


@router.post("/v1/batches", response_model=BatchEntry, responses=refusals())
async def create_batch(body: BatchRequest, request: Request) -> Response:
    """Answer every line of an uploaded file; it begins at once, at the lowest priority."""
    job = jobs_of(request).create(
        caller_of(request).tenant, body.input_file_id, body.endpoint, body.metadata
    )
    return PlainJSON(batch_entry(job))


@router.get("/v1/batches", response_model=BatchList, responses=refusals())
async def list_batches(
    request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20, after: str | None = None
) -> Response:
    """The batches of the caller's key, newest first."""
    jobs = jobs_of(request).list(caller_of(request).tenant)
    return PlainJSON(page([batch_entry(job) for job in jobs], after, limit))


@router.get("/v1/batches/{batch_id}", response_model=BatchEntry, responses=refusals())
async def one_batch(batch_id: str, request: Request) -> Response:
    """How far it is."""
    return PlainJSON(batch_entry(jobs_of(request).get(caller_of(request).tenant, batch_id)))


@router.post(
    "/v1/batches/{batch_id}/cancel",
    response_model=BatchEntry,
    responses={**refusals(), 409: {"model": Error, "description": "it has ended already"}},
)
async def cancel_batch(batch_id: str, request: Request) -> Response:
    """Give it up; what is answered by then can be read."""
    jobs = jobs_of(request)
    job = jobs.get(caller_of(request).tenant, batch_id)
    jobs.cancel(job)
    return PlainJSON(batch_entry(job))


def batch_entry(job: BatchJob) -> dict[str, Any]:
    """A batch as OpenAI writes it; times are seconds since 1970, null when not reached."""
    errors = {"object": "list", "data": job.errors} if job.errors else None
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": job.endpoint,
        "errors": errors,
        "input_file_id": job.input.id,
        "completion_window": "24h",
        "status": job.status,
        "output_file_id": job.output and job.output.id,
        "error_file_id": job.error_output and job.error_output.id,
        "created_at": job.times["validating"],
        "in_progress_at": job.times.get("in_progress"),
        "expires_at": job.expires_at,
        "finalizing_at": job.times.get("finalizing"),
        "completed_at": job.times.get("completed"),
        "failed_at": job.times.get("failed"),
        "expired_at": job.times.get("expired"),
        "cancelling_at": job.times.get("cancelling"),
        "cancelled_at": job.times.get("cancelled"),
        "request_counts": {
            "total": job.total,
            "completed": job.completed,
            "failed": job.failed,
        },
        "metadata": job.metadata,
    }
