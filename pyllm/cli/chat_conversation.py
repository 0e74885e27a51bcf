"""A conversation with a server's model: what `pyllm chat` talks to.

Each question goes through `answer`, which yields text as it comes and leaves `timings`,
`finish_reason` and `tool_calls` behind.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Protocol

from pyllm.cli.chat_chunks import Piece, ToolCalls, finish_reason, pieces, usage
from pyllm.cli.chat_timings import ChatTimings

__all__ = ["Conversation", "Server"]


class Server(Protocol):
    """The part of ChatServer a conversation uses."""

    @property
    def url(self) -> str: ...

    def models(self) -> list[str]: ...

    def stream(self, body: Mapping[str, Any]) -> Generator[Mapping[str, Any], None, None]: ...


class Conversation:
    """One model of a server, one conversation.

    sampling  fields of the request; None leaves one to the server
    options   further fields of every request ("response_format")
    """

    def __init__(
        self,
        server: Server,
        model: str,
        sampling: Mapping[str, Any],
        *,
        system: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.server = server
        self.model = model
        self.sampling = dict(sampling)
        self.system = system
        self.messages: list[dict[str, str]] = []  # without the system message
        self.timings = ChatTimings()
        self.finish_reason: str | None = None
        self._calls = ToolCalls()
        self._options = dict(options or {})

    def clear(self) -> None:
        """Forgets the conversation, not the system message."""
        self.messages.clear()

    @property
    def tool_calls(self) -> list[str]:
        """The calls that the last answer asks for, each as `name(arguments)`."""
        return self._calls.lines()

    @property
    def cut(self) -> str | None:
        """Why the last answer ends before its end, None when it does not."""
        limit = self.sampling.get("max_tokens")
        if self.finish_reason == "content_filter":
            return "the server's filter stopped it"
        if self.finish_reason != "length":
            return None
        if limit is not None and (self.timings.usage.completion or 0) >= limit:
            return f"it reached the limit of {limit} tokens"
        return "it reached the server's limit of tokens"

    def answer(self, text: str) -> Generator[Piece, None, None]:
        """Yields the answer to `text` piece by piece; closing the iterator closes the connection.

        What had come when it is closed stays in the conversation, so that "go on" works; a
        question that failed, or was stopped before any answer, does not. Raises what
        `Server.stream` raises.
        """
        said: list[str] = []
        complete = failed = False
        try:
            yield from self._pieces(text, said)
            complete = True
        except Exception:
            failed = True
            raise
        finally:
            if complete or (said and not failed):
                question = {"role": "user", "content": text}
                self.messages += [question, {"role": "assistant", "content": "".join(said)}]

    def _pieces(self, text: str, said: list[str]) -> Iterator[Piece]:
        self.timings, self.finish_reason, self._calls = ChatTimings(), None, ToolCalls()
        begin_s = time.perf_counter()
        with contextlib.closing(self.server.stream(self._request(text))) as stream:
            for chunk in stream:
                self._take_notes(chunk)
                for piece in pieces(chunk):
                    self.timings.first_token_s = (
                        self.timings.first_token_s or time.perf_counter() - begin_s
                    )
                    if not piece.is_reasoning:
                        said.append(piece.text)
                    yield piece
        self.timings.total_s = time.perf_counter() - begin_s

    def _take_notes(self, chunk: Mapping[str, Any]) -> None:
        self._calls.add(chunk)
        self.finish_reason = finish_reason(chunk) or self.finish_reason
        self.timings.usage = usage(chunk) or self.timings.usage

    def _request(self, text: str) -> dict[str, Any]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {
            "model": self.model,
            "messages": [*system, *self.messages, {"role": "user", "content": text}],
            "stream": True,
            "stream_options": {"include_usage": True},
            **{n: _as_json(n, value) for n, value in self.sampling.items() if value is not None},
            **self._options,
        }


def _as_json(name: str, value: Any) -> Any:
    """JSON has no infinity; in OpenAI's API a bias of -100 bans a token."""
    if name == "logit_bias":
        return {str(token): max(bias, -100.0) for token, bias in value.items()}
    return value
