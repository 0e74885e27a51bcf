"""The HTTP of `pyllm chat`: one server, its models, its answers as a stream of JSON objects."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from time import sleep
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from pyllm.byte_size import byte_size
from pyllm.cli.chat_chunks import finish_reason
from pyllm.cli.chat_errors import (
    BrokenStream,
    ServerError,
    ServerRefusal,
    error_message,
    http_failure,
    shortened,
)
from pyllm.cli.event_stream import EventStream
from pyllm.cli.retry_after import retry_after_s
from pyllm.cli.server_url import is_loopback
from pyllm.cli.terminal import note

__all__ = ["ChatServer"]

CONNECT_TIMEOUT_S = 10.0
MAX_WAIT_S = 120.0  # a server that asks for more patience is not waited for
MAX_ERROR_BYTES = 2**16
MAX_LIST_BYTES = 2**23  # OpenRouter's list of models takes half a megabyte
MAX_ANSWER_BYTES = 2**26  # 64 MiB of events, several hundred thousand tokens
_DEFAULT_PORT = 8000


class ChatServer:
    """An OpenAI-compatible server.

    url          as `server_url` makes it; nothing is ever sent to another host
    api_key      sent with every request, None: no key
    timeout_s    how long the server may be silent
    max_retries  how often a request that a busy server refuses is sent again

    Every method raises ServerError (the server failed), ServerRefusal (it refuses what was asked).
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 600.0,
        max_retries: int = 3,
    ) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        # identity: a few compressed bytes could become gigabytes.
        headers = {"Accept-Encoding": "identity", "User-Agent": "pyllm"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            # A proxy cannot reach this machine's own servers, and is nobody to show the key to.
            trust_env=not is_loopback(url),
        )

    def models(self) -> list[str]:
        """The names of the server's models."""
        response = self._sent("GET", "/models")
        try:
            if response.status_code != 200:
                self._fail(response)
            body = b"".join(self._bytes(response, MAX_LIST_BYTES))
        finally:
            response.close()
        document = _parsed(body.decode("utf-8", "replace"))
        entries = document.get("data")
        if not isinstance(entries, list):
            raise ServerError(f"{self.url}/models is no list of models; is the address right?")
        names = [entry.get("id") for entry in entries if isinstance(entry, Mapping)]
        return [name for name in names if isinstance(name, str)]

    def stream(self, body: Mapping[str, Any]) -> Generator[Mapping[str, Any], None, None]:
        """The chunks of an answer; closing the generator closes the connection.

        Raises BrokenStream when the connection ends before the server says that the answer does.
        """
        response = self._accepted(body)
        try:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "application/json":  # a server that does not stream
                text = b"".join(self._bytes(response, MAX_ANSWER_BYTES)).decode("utf-8", "replace")
                yield _as_chunk(_checked(_parsed(text)))
            elif kind == "text/event-stream":
                yield from self._chunks(response)
            else:
                raise ServerError(
                    f"{self.url} sends {kind[:80] or 'no type'} where events are due; "
                    "is the address right?"
                )
        finally:
            response.close()

    def close(self) -> None:
        self._client.close()

    def _accepted(self, body: Mapping[str, Any]) -> httpx.Response:
        """The response to a request that the server took, after waiting while it is busy."""
        for attempt in range(self._max_retries + 1):
            response = self._sent("POST", "/chat/completions", body)
            if response.status_code == 200:
                return response
            try:
                wait_s = self._wait_s(response, attempt)
                if wait_s is None:
                    self._fail(response, body)
            finally:
                response.close()
            note(
                f"the server is busy ({response.status_code}); trying again in {wait_s:g} s "
                f"({attempt + 1} of {self._max_retries}; Ctrl-C gives up)"
            )
            sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _wait_s(self, response: httpx.Response, attempt: int) -> float | None:
        """Seconds until the request is to be sent again, None when it is not."""
        asked = retry_after_s(response.headers.get("retry-after"))
        # 503 is a server that starts or stops: without a word on when, nobody knows.
        is_busy = response.status_code == 429 or (response.status_code == 503 and asked is not None)
        if not is_busy or attempt == self._max_retries:
            return None
        wait_s = 2.0**attempt if asked is None else asked
        return wait_s if wait_s <= MAX_WAIT_S else None

    def _sent(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        # ASCII: what a terminal made of a lone surrogate has no UTF-8 form.
        content = None if body is None else json.dumps(body, allow_nan=False).encode("ascii")
        headers = {"Accept": "application/json"}
        if body is not None:
            headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        request = self._client.build_request(
            method, self.url + path, content=content, headers=headers
        )
        try:
            return self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> ServerError:
        parts = urlsplit(self.url)
        if isinstance(error, httpx.ConnectTimeout):
            return ServerError(f"{parts.netloc} does not answer within {CONNECT_TIMEOUT_S:g} s")
        if isinstance(error, httpx.TimeoutException):
            return self._silent()
        if isinstance(error, httpx.ConnectError):
            if "refused" not in str(error):
                return ServerError(f"cannot connect to {parts.netloc}: {shortened(str(error))}")
            port = parts.port or (443 if parts.scheme == "https" else 80)
            flag = "" if port == _DEFAULT_PORT else f" --port {port}"
            start = f"start one with: pyllm serve MODEL{flag}"
            other = "is the address right?"
            hint = start if is_loopback(self.url) else other
            return ServerError(f"no server answers at {parts.scheme}://{parts.netloc}; {hint}")
        reason = shortened(str(error)) or type(error).__name__
        return ServerError(f"{parts.netloc} gives no usable answer: {reason}")

    def _silent(self) -> ServerError:
        seconds = f"{self._timeout_s:g} s"
        return ServerError(f"the server sent nothing for {seconds}; --timeout allows more")

    def _fail(self, response: httpx.Response, body: Mapping[str, Any] | None = None) -> NoReturn:
        """Raises what a response without success means."""
        status = response.status_code
        if 300 <= status < 400 and "location" in response.headers:
            target = shortened(response.headers["location"])
            target = target.removesuffix("/models").removesuffix("/chat/completions")
            raise ServerRefusal(f"the server sends us on to {target}; give that with --url")
        try:
            text = b"".join(self._bytes(response, MAX_ERROR_BYTES, cut=True))
        except ServerError:  # the status says enough
            text = b""
        models = None
        if body is not None and status in (400, 404) and b"model" in text.lower():
            models = self._other_models(str(body["model"]))
        raise http_failure(status, response.reason_phrase, text, models)

    def _other_models(self, asked: str) -> list[str] | None:
        """What there is instead of a missing model, None when that is not what is wrong."""
        try:
            names = self.models()
        except (ServerError, ServerRefusal):
            return None
        return None if asked in names else names

    def _chunks(self, response: httpx.Response) -> Iterator[Mapping[str, Any]]:
        finished = False
        for data in self._events(response):
            if data.strip() == "[DONE]":
                return
            chunk = _checked(_parsed(data))
            finished = finished or finish_reason(chunk) is not None
            yield chunk
        if not finished:  # some servers say how it ended and leave out [DONE]
            raise BrokenStream("the server's stream ended in the middle of the answer")

    def _events(self, response: httpx.Response) -> Iterator[str]:
        events = EventStream()
        for piece in self._bytes(response, MAX_ANSWER_BYTES):
            yield from events.feed(piece)
        yield from events.end()

    def _bytes(self, response: httpx.Response, limit: int, *, cut: bool = False) -> Iterator[bytes]:
        """The body, `limit` bytes at most; more is an error unless it may be `cut`."""
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise ServerError("the server compresses its answer though it was asked not to")
        size = 0
        try:
            for piece in response.iter_raw():
                size += len(piece)
                if size > limit and not cut:
                    raise ServerError(f"the server sent more than {byte_size(limit)}")
                yield piece
                if size > limit:
                    return
        except httpx.TimeoutException as error:
            raise self._silent() from error
        except httpx.HTTPError as error:
            raise BrokenStream("the connection broke in the middle of the answer") from error


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping):
        raise BrokenStream(f"the server sent what is no JSON object: {shortened(text[:100])!r}")
    return document


def _checked(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """The chunk, unless it is an error: a server may fail when its 200 is sent already."""
    if chunk.get("error") and "choices" not in chunk:
        raise ServerError(f"the server failed: {error_message(chunk)}")
    return chunk


def _as_chunk(completion: Mapping[str, Any]) -> Mapping[str, Any]:
    """A whole completion as the one chunk of a stream."""
    choices = completion.get("choices")
    if not isinstance(choices, list) or not all(isinstance(c, Mapping) for c in choices):
        raise ServerError("the server's answer has no choices; is it a chat server?")
    return {
        **completion,
        "choices": [{**choice, "delta": choice.get("message")} for choice in choices],
    }
