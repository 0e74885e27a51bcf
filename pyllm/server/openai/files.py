"""/v1/files: what batches read and write."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pyllm.server.body import StrictRoute
from pyllm.server.files.store import FileStore, StoredFile
from pyllm.server.files.upload import receive_file
from pyllm.server.openai.common import PlainJSON, caller_of
from pyllm.server.openai.pages import page
from pyllm.server.openai.schemas import DeletedFile, Error, FileEntry, FileList, refusals

router = APIRouter(route_class=StrictRoute, tags=["OpenAI"])

_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["purpose", "file"],
                "additionalProperties": False,
                "properties": {
                    "purpose": {"type": "string", "enum": ["batch"]},
                    "file": {"type": "string", "format": "binary"},
                },
            }
        }
    },
}


def store_of(request: Request) -> FileStore:
    store: FileStore = request.app.state.files
    return store


async def upload_file(request: Request) -> Response:
    """Store a file of requests; it goes to disk as it comes. See --files-dir."""
    file = await receive_file(request, store_of(request), caller_of(request).tenant)
    return PlainJSON(file_entry(file))


router.add_api_route(
    "/v1/files",
    upload_file,
    methods=["POST"],
    response_model=FileEntry,
    responses=refusals(),
    openapi_extra={"requestBody": _FORM},
    route_class_override=APIRoute,  # the only body that is not JSON
)


@router.get("/v1/files", response_model=FileList, responses=refusals())
async def list_files(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    after: str | None = None,
    order: Literal["asc", "desc"] = "desc",
    purpose: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """The files of the caller's key."""
    files = store_of(request).list(caller_of(request).tenant, purpose)
    entries = [file_entry(file) for file in (files if order == "asc" else reversed(files))]
    return PlainJSON(page(entries, after, limit))


@router.get("/v1/files/{file_id}", response_model=FileEntry, responses=refusals())
async def one_file(file_id: str, request: Request) -> Response:
    """What is known about a file."""
    return PlainJSON(file_entry(store_of(request).get(caller_of(request).tenant, file_id)))


@router.get(
    "/v1/files/{file_id}/content",
    response_class=FileResponse,
    responses={
        **refusals(),
        200: {"content": {"application/octet-stream": {}}, "description": "its bytes"},
    },
)
async def file_content(file_id: str, request: Request) -> Response:
    """The file itself."""
    file = store_of(request).get(caller_of(request).tenant, file_id)
    attachment = {"content-disposition": f'attachment; filename="{file.id}.jsonl"'}
    return FileResponse(file.path, headers=attachment, media_type="application/octet-stream")


@router.delete(
    "/v1/files/{file_id}",
    response_model=DeletedFile,
    responses={**refusals(), 409: {"model": Error, "description": "a batch still reads it"}},
)
async def delete_file(file_id: str, request: Request) -> Response:
    """Forget a file. One that a batch still reads cannot be deleted."""
    store_of(request).delete(caller_of(request).tenant, file_id)
    return PlainJSON({"id": file_id, "object": "file", "deleted": True})


def file_entry(file: StoredFile) -> dict[str, Any]:
    """A file as OpenAI writes it; `bytes` is its size."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "expires_at": None,
    }
