"""A request that the engine has taken: its reports, how far it is, and the way to give it up."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pyllm.engine.async_inbox import AsyncInbox
from pyllm.engine.thread import EngineThread
from pyllm.outputs import RequestOutput
from pyllm.request import Request


class OpenRequest:
    """Iterate over it once for the reports; `close` when they are no longer wanted.

    Raises what ends the request: PyLLMError when the engine is shut down meanwhile.
    """

    def __init__(self, thread: EngineThread, inbox: AsyncInbox, request: Request) -> None:
        self._thread = thread
        self._inbox = inbox
        self._request = request
        self._finished = False

    @property
    def request_id(self) -> str:
        return self._request.request_id

    @property
    def prompt_token_ids(self) -> list[int]:
        return self._request.prompt_token_ids

    @property
    def num_read_tokens(self) -> int:
        """Prompt tokens that are computed or were found in the prefix cache."""
        return self._request.num_read_tokens

    @property
    def num_cached_tokens(self) -> int:
        """Prompt tokens that were found in the prefix cache."""
        return self._request.num_cached_tokens

    @property
    def num_written_tokens(self) -> int:
        """Tokens of all continuations so far."""
        return self._request.num_written_tokens

    async def __aiter__(self) -> AsyncIterator[RequestOutput]:
        while not self._finished:
            output = await self._inbox.get()
            self._finished = output.finished
            yield output

    def close(self) -> None:
        """Free what it holds before the next step; does nothing once it is finished."""
        if not self._finished and not self._inbox.failed:
            self._finished = True
            self._thread.abort([self.request_id], self._inbox)
