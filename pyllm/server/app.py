"""The application: routes of all dialects over one service, each failure in its dialect's words."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pyllm import __version__
from pyllm.errors import PyLLMError
from pyllm.server import webui
from pyllm.server.batch.jobs import BatchJobs
from pyllm.server.dialects import refusal
from pyllm.server.edge import Draining
from pyllm.server.errors import ApiError, as_api_error
from pyllm.server.files.store import FileStore
from pyllm.server.metrics import ServerMetrics
from pyllm.server.model_registry import Loader, ModelRegistry, load
from pyllm.server.openai.responses_store import ResponseStore
from pyllm.server.request_facts import note_failed
from pyllm.server.routes import ROUTERS
from pyllm.server.service import Service
from pyllm.server.settings import ServerSettings
from pyllm.server.streams import ClientGone

_log = logging.getLogger(__name__)

_CLIENT_CLOSED_REQUEST = 499  # nginx's number; nobody reads it but the log


def create_app(
    settings: ServerSettings, loader: Loader = load, draining: Draining | None = None
) -> FastAPI:
    """The ASGI application without its edge: no keys, no hosts, no limits. See edge/.

    draining  tells when answers that are still written must end
    """
    registry = ModelRegistry(settings, loader)
    metrics = registry.watcher = ServerMetrics(registry)
    service = Service(settings, registry, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_preload(service))] if settings.preload else []
        if draining is not None:
            tasks.append(asyncio.create_task(_cut(service, draining)))
        try:
            batches.resume()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await batches.close()
            await registry.close()
            files.close()

    app = FastAPI(
        title="pyllm",
        version=__version__,
        summary="OpenAI's, Ollama's, Anthropic's and llama-server's interfaces to local models",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    files = FileStore(settings.files_dir, settings.max_files, settings.max_file_bytes)
    batches = BatchJobs(app, registry, files, settings.batch_concurrency)
    app.state.files, app.state.batches = files, batches
    app.state.service = service
    app.state.metrics = metrics
    app.state.responses = ResponseStore()
    for router in ROUTERS:
        app.include_router(router)
    app.routes.extend(webui.routes())
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(ClientGone, _gone)
    app.add_exception_handler(Exception, _failed)
    return app


async def _preload(service: Service) -> None:
    try:
        (await service.registry.lease(None)).release()  # it takes as long as it takes
    except (ApiError, PyLLMError, OSError) as error:
        _log.error("%s", error)
    except Exception:  # a defect: the server goes on, and /ready says that it is not
        _log.exception("the first model could not be loaded")


async def _cut(service: Service, draining: Draining) -> None:
    await draining.wait_cut()
    service.cut()


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not isinstance(error, ApiError):  # Starlette's own: no such route, no such method
        error = ApiError(error.status_code, str(error.detail), headers=error.headers)
    elif error.status_code >= 500:
        _log.error("%s", error.__cause__ or error.message)
    return _counted_refusal(request, error)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)


async def _failed(request: Request, error: Exception) -> Response:
    return _counted_refusal(request, as_api_error(error))


def _counted_refusal(request: Request, error: ApiError) -> Response:
    request.app.state.metrics.rejected(error.code)
    note_failed(error.code)
    return refusal(request.url.path, error)
