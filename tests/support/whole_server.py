"""The whole server in a thread: real sockets, the edge, every route, a real model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from pyllm.async_llm import AsyncLLM
from pyllm.demo import demo_model
from pyllm.server.app import create_app
from pyllm.server.dialects import counted_refusals
from pyllm.server.edge import Draining, EdgeSettings, wrap
from pyllm.server.edge.connection import EdgeConfig
from pyllm.server.listening import open_sockets
from pyllm.server.model_registry import ModelRegistry
from pyllm.server.request_log import RequestLog
from pyllm.server.settings import ModelSource, ServerSettings
from tests.support.edge_server import post
from tests.support.leak_check import assert_no_leak


@dataclass
class WholeServer:
    """`url` is where it answers; the rest looks inside."""

    url: str
    app: FastAPI
    loop: asyncio.AbstractEventLoop
    draining: Draining
    uvicorn: uvicorn.Server

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def registry(self) -> ModelRegistry:
        registry: ModelRegistry = self.app.state.service.registry
        return registry

    def client(self, **options: Any) -> httpx.Client:
        """Every answer of 400 and above that it reads is searched for leaks."""
        hooks = {"response": [_search_for_leaks]}
        return httpx.Client(base_url=self.url, timeout=60, event_hooks=hooks, **options)

    def llm(self, name: str = "demo") -> AsyncLLM:
        return next(llm for model, llm, _ in self.registry.loaded() if model == name)

    def num_users(self) -> int:
        """Leases that were not given back."""
        return sum(entry.users for entry in self.registry._entries.values())

    def send(self, path: str, body: Any, *headers: str) -> socket.socket:
        """A connection on which the request is under way; its answer is not read."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(post(path, json.dumps(body).encode(), *headers))
        return connection

    def wait_for(self, happened: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, what
            time.sleep(0.002)

    def wait_idle(self, seconds: float = 60.0) -> None:
        """Fails unless every request is gone from the engine and every model given back."""
        self.wait_for(self.is_idle, "requests or leases are left", seconds)

    def is_idle(self) -> bool:
        stats = [llm.stats() for _, llm, _ in self.registry.loaded()]
        busy = any(found.num_running or found.num_waiting for found in stats)
        return not busy and self.num_users() == 0


def _search_for_leaks(response: httpx.Response) -> None:
    if response.status_code >= 400:
        response.read()
        assert_no_leak(response.status_code, response.content)


def demo_settings(**changes: Any) -> ServerSettings:
    """Of a server with the embedded model, called demo."""
    path = demo_model()
    assert path is not None
    settings = ServerSettings(
        models=(ModelSource("demo", path),),
        engine={"num_threads": 1, "max_num_seqs": 4, "max_num_queued_requests": 64},
    )
    return replace(settings, **changes)


@contextlib.contextmanager
def whole_server(
    settings: ServerSettings | None = None,
    edge: EdgeSettings | None = None,
    send_buffer: int | None = None,
) -> Iterator[WholeServer]:
    """As `pyllm serve` puts it together, at a free port.

    send_buffer  bytes that the system holds for a client that does not read
    """
    at_edge = replace(edge or EdgeSettings(), port=0)
    draining = Draining(at_edge.shutdown_timeout_s)
    app = create_app(settings or demo_settings(), draining=draining)
    refused = counted_refusals(app.state.metrics)
    wrapped = RequestLog(wrap(app, at_edge, draining, refused), app.state.metrics)
    config = EdgeConfig(
        wrapped,
        at_edge,
        refused,
        at_edge.max_connections,
        loop="asyncio",
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
    loops: list[asyncio.AbstractEventLoop] = []
    server = uvicorn.Server(config)
    sockets = open_sockets(at_edge)
    if send_buffer is not None:
        for listening in sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=sockets)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        running = WholeServer(url, app, loops[0], draining, server)
        _wait_ready(running)
        yield running
    finally:
        server.should_exit = True
        thread.join()
        for listening in sockets:
            listening.close()


def _wait_ready(server: WholeServer) -> None:
    deadline = time.monotonic() + 60
    headers = {"authorization": "Bearer -"}
    while httpx.get(f"{server.url}/ready", headers=headers).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.01)
