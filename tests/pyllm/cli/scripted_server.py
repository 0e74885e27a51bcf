"""An HTTP server made of a script: one step for each request, and what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

MODELS = ["tiny", "large"]


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)


Step = Callable[[BaseHTTPRequestHandler], None]


class ScriptedServer:
    """Answers POSTs with `steps` in order, the last again and again; GETs with `models`."""

    def __init__(self, *steps: Step, models: Step | None = None) -> None:
        self.asked: list[Asked] = []
        outer = self
        left = list(steps)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._note(self)
                (models or model_list(MODELS))(self)

            def do_POST(self) -> None:
                outer._note(self)
                step = left.pop(0) if len(left) > 1 else left[0]
                step(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients that leave are part of the tests
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def _note(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("content-length") or 0)
        body = json.loads(handler.rfile.read(size)) if size else {}
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.command, handler.path, headers, body))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def questions(self) -> list[dict[str, Any]]:
        """The bodies of the chat requests."""
        return [asked.body for asked in self.asked if asked.method == "POST"]

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def answer(status: int, body: bytes, kind: str = "application/json", **headers: str) -> Step:
    """A whole response; `retry_after="1"` is the header Retry-After."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return step


def refusal(status: int, message: str, **headers: str) -> Step:
    """An error as OpenAI writes it."""
    body = json.dumps({"error": {"message": message, "type": "x", "code": None}})
    return answer(status, body.encode(), **headers)


def model_list(names: list[str]) -> Step:
    return answer(200, json.dumps({"data": [{"id": name} for name in names]}).encode())


def stream(*pieces: bytes, cut: bool = False) -> Step:
    """A chunked body, each piece sent by itself; `cut` ends the connection without its end."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            handler.wfile.flush()
        if not cut:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return step


def chunk(finish_reason: str | None = None, **delta: Any) -> bytes:
    """One event with a delta."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event({"choices": [choice]})


def event(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
USAGE = event(
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }
)


def says(*texts: str, finish_reason: str = "stop") -> Step:
    """A well-formed answer."""
    chunks = [chunk(role="assistant"), *(chunk(content=text) for text in texts)]
    return stream(*chunks, chunk(finish_reason), USAGE, DONE)
