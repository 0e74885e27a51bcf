"""A real server with the edge around a small application, and a socket to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

from pyllm.server.dialects import edge_refusal
from pyllm.server.edge.asgi import App, Receive, Scope, Send
from pyllm.server.edge.connection import EdgeConfig
from pyllm.server.edge.draining import Draining
from pyllm.server.edge.json_body import read_json_object
from pyllm.server.edge.refusal import Refusal
from pyllm.server.edge.settings import EdgeSettings
from pyllm.server.edge.wrap import wrap
from pyllm.server.listening import open_sockets
from tests.support.leak_check import assert_no_leak


@dataclass
class RunningServer:
    port: int
    draining: Draining
    config: EdgeConfig
    app: SmallApp
    server: uvicorn.Server

    @property
    def num_connections(self) -> int:
        return len(self.server.server_state.connections)

    def connect(self, timeout: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def exchange(self, request: bytes, timeout: float = 10.0) -> bytes:
        """Everything the server answers until it closes, or until a body of known length ends."""
        with self.connect(timeout) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            return read_answer(connection)

    def healthy(self) -> bool:
        return status(self.exchange(get("/health"))) == 200


def get(path: str, *headers: str, host: str = "127.0.0.1", method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(path: str, body: bytes, *headers: str, host: str = "127.0.0.1") -> bytes:
    given = {line.partition(":")[0].lower() for line in headers}
    if not given & {"content-length", "transfer-encoding"}:
        headers = (f"Content-Length: {len(body)}", *headers)
    if "content-type" not in given:
        headers = ("Content-Type: application/json", *headers)
    return get(path, *headers, host=host, method="POST") + body


def read_answer(connection: socket.socket) -> bytes:
    """One answer; b"" when the connection was closed or reset without one."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while not _is_complete(data):
            part = connection.recv(65536)
            if not part:
                break
            data += part
    assert_no_leak(status(data), data.partition(b"\r\n\r\n")[2])
    return data


def _is_complete(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if lengths:
        return len(body) >= int(lengths[0].split(b":")[1])
    return body.endswith(b"0\r\n\r\n") or head.split(b" ")[1] in (b"204", b"304")


def status(answer: bytes) -> int:
    """Status code; 0 when there was no answer."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def answer_header(answer: bytes, name: str) -> str | None:
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        key, _, value = line.decode("latin-1").partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return None


def answer_json(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def closed_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the server ends the connection in time; what it sends until then is dropped."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            if not connection.recv(65536):
                return True
    except ConnectionResetError:
        return True
    except TimeoutError:
        pass
    return False


class SmallApp:
    """GET /health, /state, /fail/…, /big, /pause, /stream, /slow; POST /json, /sink, /v1/files."""

    def __init__(self) -> None:
        self.draining: Draining | None = None
        self.gate = threading.Event()  # /slow and /stream go on until it is set
        self.entered = threading.Event()  # one of them has begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = scope["path"]
        if path == "/json":
            await self._json(receive, send)
        elif path in ("/sink", "/v1/files"):
            await answer(send, 200, {"bytes": len(await read_body(receive))})
        elif path == "/state":
            state = scope["state"]
            await answer(send, 200, {"tenant": state["tenant"], "id": state["request_id"]})
        elif path == "/fail/early":
            raise ValueError("cannot open /home/someone/model.gguf: <object at 0x7f0012345678>")
        elif path == "/fail/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            raise ValueError("too late to say")
        elif path == "/fail/told":
            await answer(send, 503, {"error": "/home/someone/model.gguf: no such file"})
        elif path == "/pause":
            self.entered.set()
            await asyncio.sleep(0.5)
            await answer(send, 200, {"paused": True})
        elif path == "/big":
            await answer(send, 200, "x" * 20_000_000)
        elif path == "/stream":
            await self._stream(send)
        elif path == "/slow":
            self.entered.set()
            await _poll(self.gate)
            await answer(send, 200, {"slow": True})
        elif path in ("/", "/health", "/ready", "/api/tags", "/v1/models"):
            await answer(send, 200, {"path": path})
        else:
            await answer(send, 404, {"error": "not found"})

    async def _json(self, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        try:
            found = await read_json_object(body)
        except Refusal as refusal:
            await answer(send, refusal.status, {"code": refusal.code, "message": str(refusal)})
            return
        await answer(send, 200, {"keys": sorted(found)})

    async def _stream(self, send: Send) -> None:
        """Events until the gate opens; an error event when the server stops first."""
        assert self.draining is not None
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while not self.gate.is_set() and not self.draining.is_cut:
            await _event(send, "data: token\n\n")
            self.entered.set()
            await asyncio.sleep(0.01)
        await _event(send, "event: error\n\n" if self.draining.is_cut else "data: [DONE]\n\n")
        await send({"type": "http.response.body", "body": b""})


async def _event(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _poll(gate: threading.Event) -> None:
    while not gate.is_set():
        await asyncio.sleep(0.01)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def read_body(receive: Receive) -> bytes:
    """The whole body; raises when the client left, as frameworks do."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def answer(send: Send, code: int, content: object) -> None:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def running_server(
    settings: EdgeSettings, max_connections: int | None = None
) -> Iterator[RunningServer]:
    """The small application behind the edge, served by a thread at a free port of 127.0.0.1."""
    app = SmallApp()
    app.draining = Draining(settings.shutdown_timeout_s)
    wrapped: App = wrap(app, settings, app.draining, edge_refusal)
    config = EdgeConfig(
        wrapped,
        settings,
        edge_refusal,
        max_connections or settings.max_connections,
        loop="asyncio",
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    sockets = open_sockets(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": sockets})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield RunningServer(sockets[0].getsockname()[1], app.draining, config, app, server)
    finally:
        app.gate.set()
        server.should_exit = True
        thread.join()
