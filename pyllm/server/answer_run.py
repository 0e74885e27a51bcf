"""One answer being made: what the engine reports, as events; closing it frees everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Protocol

from pyllm.engine.open_request import OpenRequest
from pyllm.errors import PyLLMError
from pyllm.outputs import CompletionOutput, RequestOutput
from pyllm.server.errors import ApiError, as_api_error
from pyllm.server.events import (
    CallArguments,
    CallStart,
    ChoiceEnd,
    Event,
    PromptRead,
    Text,
    Tokens,
    Usage,
)
from pyllm.server.merge import merged
from pyllm.server.model_registry import Lease
from pyllm.server.request_facts import note_failed
from pyllm.tool_calls import (
    AnswerParser,
    ReasoningPiece,
    TextPiece,
    ToolCallArguments,
    ToolCallStart,
)
from pyllm.tool_calls import Event as Part

# Tokens with log-probabilities that are handed out together: twenty beside each are 5 ms of work
# for whoever writes them down, and a reader that lagged gets thousands in one report.
_MOST_SCORED = 64


class Finished(Protocol):
    """Is told how a request ended, for the metrics and the log."""

    def __call__(self, model: str, output: RequestOutput) -> None: ...


class AnswerRun:
    """Several prompts of one HTTP request, `choices` continuations each; usually one prompt.

    parser    of the text of one choice, by its index; None: text is text
    deadline  time.monotonic() at which it ends with an error; None: never
    """

    def __init__(
        self,
        lease: Lease,
        requests: Sequence[OpenRequest],
        choices: int,
        *,
        parser: Callable[[int], AnswerParser] | None = None,
        deadline: float | None = None,
        on_finished: Finished | None = None,
    ) -> None:
        self.model = lease.name
        self._lease = lease
        self._requests = list(requests)
        self._choices = choices
        self._make_parser = parser
        self._parsers: dict[int, AnswerParser] = {}
        self._calls: dict[int, int] = {}  # choice: tool calls so far
        self._deadline = deadline
        self._on_finished = on_finished
        self._cut: ApiError | None = None
        self._usage = Usage(0, 0, 0, load_seconds=lease.load_seconds)

    @property
    def prompt_tokens(self) -> int:
        """Of all prompts together."""
        return sum(len(request.prompt_token_ids) for request in self._requests)

    @property
    def read_tokens(self) -> int:
        """Prompt tokens that are computed so far."""
        return sum(request.num_read_tokens for request in self._requests)

    @property
    def cached_tokens(self) -> int:
        """Prompt tokens that were found in the prefix cache."""
        return sum(request.num_cached_tokens for request in self._requests)

    @property
    def usage(self) -> Usage:
        """Of what is finished."""
        return self._usage

    def close(self) -> None:
        """Free what is not finished before the engine's next step. May be repeated."""
        for request in self._requests:
            request.close()
        self._lease.release()

    def cut(self, error: ApiError) -> None:
        """End it with `error`, which the client is told."""
        self._cut = error
        for request in self._requests:
            request.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """ApiError when it fails as a whole."""
        reports = merged(self._requests)
        started: set[int] = set()
        try:
            while True:
                try:
                    async with asyncio.timeout(self._seconds_left()):
                        number, output = await anext(reports)
                except StopAsyncIteration:
                    if self._cut is not None:
                        raise _noted(self._cut) from None
                    break
                if self._cut is not None:
                    raise _noted(self._cut)
                if number not in started:
                    started.add(number)
                    yield self._prompt_read(number, output)
                for part in output.outputs:
                    for event in self._events(number * self._choices + part.index, part):
                        yield event
                        if isinstance(event, Tokens) and len(event.token_ids) == _MOST_SCORED:
                            await asyncio.sleep(0)
                if output.finished:
                    self._count(output)
        except TimeoutError:
            self.close()
            late = ApiError(504, "the request took longer than it may", "request_timeout")
            raise _noted(late) from None
        except PyLLMError as error:
            raise _noted(as_api_error(error)) from error
        finally:
            await reports.aclose()
        yield self._usage

    def _seconds_left(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()

    def _prompt_read(self, number: int, output: RequestOutput) -> PromptRead:
        index = number * self._choices
        return PromptRead(index, output.prompt, output.prompt_token_ids, output.prompt_logprobs)

    def _events(self, index: int, part: CompletionOutput) -> list[Event]:
        events: list[Event] = []
        if part.token_ids:
            self._usage.completion_tokens += len(part.token_ids)
            events += _tokens(index, part)
        if self._make_parser is None:
            if part.text:
                events.append(Text(index, part.text))
        else:
            events += self._parsed(index, part)
        if part.finish_reason is not None:
            events.append(self._end(index, part))
        return events

    def _parsed(self, index: int, part: CompletionOutput) -> list[Event]:
        parser = self._parsers.get(index)
        if parser is None:
            assert self._make_parser is not None
            parser = self._parsers[index] = self._make_parser(index)
        parts = parser.feed(part.text) if part.text else []
        if part.finish_reason is not None:
            parts += parser.finish()
        events = [event for found in parts if (event := self._as_event(index, found)) is not None]
        if events and all(isinstance(event, Text) and event.reasoning for event in events):
            self._usage.reasoning_tokens += len(part.token_ids)
        return events

    def _as_event(self, index: int, part: Part) -> Event | None:
        if isinstance(part, TextPiece):
            return Text(index, part.text)
        if isinstance(part, ReasoningPiece):
            return Text(index, part.text, reasoning=True)
        if isinstance(part, ToolCallStart):
            self._calls[index] = self._calls.get(index, 0) + 1
            return CallStart(index, part.index, part.id, part.name)
        if isinstance(part, ToolCallArguments):
            return CallArguments(index, part.index, part.text)
        return None  # the end of a call: the next event says it too

    def _end(self, index: int, part: CompletionOutput) -> ChoiceEnd:
        reason = str(part.finish_reason)
        if reason == "repetition":
            reason = "stop"
        if reason == "stop" and self._calls.get(index):
            reason = "tool_calls"
        return ChoiceEnd(index, reason, part.stop_reason)

    def _count(self, output: RequestOutput) -> None:
        usage, metrics = self._usage, output.metrics
        usage.prompt_tokens += len(output.prompt_token_ids)
        usage.cached_tokens += output.num_cached_tokens
        if self._on_finished is not None:
            self._on_finished(self.model, output)
        if metrics is None or metrics.first_token_time is None or metrics.finished_time is None:
            return
        scheduled = metrics.first_scheduled_time or metrics.first_token_time
        usage.queue_seconds = max(usage.queue_seconds, scheduled - metrics.arrival_time)
        usage.prompt_seconds += metrics.first_token_time - scheduled
        usage.generation_seconds += metrics.finished_time - metrics.first_token_time


def _tokens(index: int, part: CompletionOutput) -> Iterator[Tokens]:
    """Those of a report, in pieces where each has much to say."""
    if part.logprobs is None or len(part.token_ids) <= _MOST_SCORED:
        yield Tokens(index, part.token_ids, part.logprobs)
        return
    for at in range(0, len(part.token_ids), _MOST_SCORED):
        end = at + _MOST_SCORED
        yield Tokens(index, part.token_ids[at:end], part.logprobs[at:end])


def _noted(error: ApiError) -> ApiError:
    """A stream has said 200 by now: its failure is seen nowhere else."""
    note_failed(error.code)
    return error
