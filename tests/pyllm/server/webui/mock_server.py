"""A server that answers with scripted chunks; the page comes from the package's own routes.

By hand, to work on the page: python -m tests.pyllm.server.webui.mock_server
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pyllm.server import webui

Chunk = dict[str, Any]


@dataclass
class Reply:
    """One answer: chunks (a str is sent as it is), seconds between them, or an error instead."""

    chunks: Iterable[Chunk | str] = ()
    pause: float = 0.0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    done: bool = True  # ends with [DONE]; without, the stream just breaks off


def delta(**fields: Any) -> Chunk:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def finish(reason: str = "stop") -> Chunk:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def usage(prompt: int, answer: int, cached: int = 0) -> Chunk:
    details = {"cached_tokens": cached}
    counts = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
    return {"choices": [], "usage": {**counts, "prompt_tokens_details": details}}


def pieces(text: str, size: int = 4) -> list[Chunk]:
    return [delta(content=text[at : at + size]) for at in range(0, len(text), size)]


def saying(text: str, size: int = 4, pause: float = 0.0) -> Reply:
    """A whole answer of this text, in pieces of `size` characters."""
    parts = pieces(text, size)
    return Reply([*parts, finish(), usage(12, len(parts), 8)], pause)


def scored(tokens: list[tuple[str, float, list[tuple[str, float]]]]) -> Reply:
    """An answer with log-probabilities: (token, its logprob, the likeliest ones)."""
    chunks = []
    for token, logprob, others in tokens:
        top = [{"token": text, "logprob": value, "bytes": None} for text, value in others]
        score = {"token": token, "logprob": logprob, "bytes": None, "top_logprobs": top}
        chunk = delta(content=token)
        chunk["choices"][0]["logprobs"] = {"content": [score]}
        chunks.append(chunk)
    return Reply([*chunks, finish(), usage(12, len(tokens))])


class MockServer:
    """Runs in a thread; `replies` are used up in order, then every answer is `otherwise`."""

    def __init__(self, otherwise: Reply | None = None) -> None:
        self.otherwise = otherwise or saying("Nothing was scripted.")
        self.open_streams = 0
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.reset()

    def reset(self) -> None:
        self.replies: deque[Reply] = deque()
        self.requests: list[dict[str, Any]] = []
        self.models = ["tiny-Q8_0.gguf"]
        self.key = ""  # none wanted

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self, port: int = 0) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port or self.port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.app(), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                *webui.routes(),
                Route("/v1/models", self._list_models),
                Route("/v1/chat/completions", self._answer, methods=["POST"]),
            ]
        )

    def _refused(self, request: Request) -> bool:
        return bool(self.key) and request.headers.get("Authorization") != f"Bearer {self.key}"

    async def _list_models(self, request: Request) -> Response:
        if self._refused(request):
            return JSONResponse({"error": {"message": "a key is required"}}, 401)
        data = [{"id": model, "object": "model"} for model in self.models]
        return JSONResponse({"object": "list", "data": data})

    async def _answer(self, request: Request) -> Response:
        if self._refused(request):
            return JSONResponse({"error": {"message": "a key is required"}}, 401)
        self.requests.append(await request.json())
        reply = self.replies.popleft() if self.replies else self.otherwise
        if reply.status != 200:
            return JSONResponse(reply.body, reply.status, headers=reply.headers)
        return StreamingResponse(self._stream(reply), media_type="text/event-stream")

    async def _stream(self, reply: Reply) -> AsyncIterator[str]:
        self.open_streams += 1
        try:
            for chunk in reply.chunks:
                yield chunk if isinstance(chunk, str) else f"data: {json.dumps(chunk)}\n\n"
                await asyncio.sleep(reply.pause)
            if reply.done:
                yield "data: [DONE]\n\n"
        finally:
            self.open_streams -= 1


SHOWPIECE = """\
A **prefix cache** keeps the keys and values of prompts that were read before. When two requests \
begin alike, the second starts where they part.

1. The prompt is cut into blocks of 16 tokens.
2. Each block gets a hash of its tokens *and of everything before it*.
3. A block found by its hash is taken as it is, so only the rest is computed.

```python
def cached_blocks(tokens: list[int], cache: Cache) -> list[Block]:
    \"\"\"The longest known beginning of `tokens`.\"\"\"
    found: list[Block] = []
    digest = b""
    for start in range(0, len(tokens) - 15, 16):
        digest = chain(digest, tokens[start : start + 16])
        block = cache.get(digest)
        if block is None:
            break  # a later block depends on this one
        found.append(block)
    return found
```

| prompt | computed | first token |
|---|---:|---:|
| cold, 2048 tokens | 2048 | 3.1 s |
| warm, 1984 in common | 64 | 0.12 s |

> The last token is always computed: its logits are what the answer starts from.
"""
THOUGHT = (
    "The reader asks how it works. I should say what is kept, how it is found, and what it saves."
)


def showpiece() -> Reply:
    progress = [
        {"choices": [], "prompt_progress": {"total": 1400, "processed": n, "cache": 1000}}
        for n in range(1000, 1400, 100)
    ]
    thinking = [delta(reasoning_content=f"{word} ") for word in THOUGHT.split()]
    answer = pieces(SHOWPIECE, 5)
    return Reply([*progress, *thinking, *answer, finish(), usage(1400, len(answer), 1000)], 0.02)


if __name__ == "__main__":
    server = MockServer(otherwise=showpiece())
    server.models = ["tiny-Q8_0.gguf", "models/Qwen3-4B-Instruct-Q4_K_M.gguf"]
    server.start(8000)
    print(server.url)
    threading.Event().wait()
