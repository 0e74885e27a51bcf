"""A whole answer, for clients that do not stream."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass, field

from starlette.requests import Request

from pyllm.sampling.logprobs import FlatLogprobs
from pyllm.server.answer_run import AnswerRun
from pyllm.server.errors import finished_badly
from pyllm.server.events import (
    CallArguments,
    CallStart,
    ChoiceEnd,
    Event,
    PromptRead,
    Text,
    Tokens,
    Usage,
    logprobs_size,
)
from pyllm.server.streams import while_connected

_ID_BYTES = 6  # of a token's number, and what is between two


@dataclass
class Call:
    """A tool call; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str = ""


@dataclass
class Choice:
    """One continuation."""

    index: int
    text: str = ""
    reasoning: str = ""
    calls: list[Call] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    logprobs: FlatLogprobs | None = None
    finish_reason: str = "stop"
    stop_reason: int | str | None = None

    def add(self, event: Event) -> None:
        """An event of this choice."""
        match event:
            case Text(_, text, reasoning):
                if reasoning:
                    self.reasoning += text
                else:
                    self.text += text
            case Tokens(_, token_ids, logprobs):
                self.token_ids += token_ids
                if logprobs is not None:
                    self.logprobs = self.logprobs or FlatLogprobs()
                    self.logprobs.extend(logprobs)
            case CallStart(_, _, call_id, name):
                self.calls.append(Call(call_id, name))
            case CallArguments(_, call, text):
                self.calls[call].arguments += text
            case ChoiceEnd(_, finish_reason, stop_reason):
                self.finish_reason, self.stop_reason = finish_reason, stop_reason

    def size(self, top: int) -> int:
        """About the bytes of its JSON, with `top` log-probabilities beside each token's own."""
        texts = len(self.text) + len(self.reasoning)
        texts += sum(len(call.arguments) for call in self.calls)
        return texts + _size(self.token_ids, self.logprobs, top)


@dataclass
class Answer:
    """Everything a run said, choices by their index."""

    choices: list[Choice] = field(default_factory=list)
    prompts: list[PromptRead] = field(default_factory=list)
    usage: Usage = field(default_factory=lambda: Usage(0, 0, 0))

    def add(self, event: Event) -> None:
        """The next event of the run, in their order."""
        if isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, PromptRead):
            self.prompts.append(event)
        else:
            while len(self.choices) <= event.index:
                self.choices.append(Choice(len(self.choices)))
            self.choices[event.index].add(event)

    def size(self, top: int) -> int:
        """As that of its choices; each may be shown with its prompt."""
        shown = len(self.choices) // max(1, len(self.prompts))
        prompts = sum(prompt_size(prompt, top) for prompt in self.prompts)
        return shown * prompts + sum(choice.size(top) for choice in self.choices)


def prompt_size(prompt: PromptRead, top: int) -> int:
    """About the bytes of its JSON, as `Choice.size`."""
    return len(prompt.text or "") + _size(prompt.token_ids, prompt.logprobs, top)


def _size(token_ids: list[int], logprobs: Sized | None, top: int) -> int:
    return _ID_BYTES * len(token_ids) + (0 if logprobs is None else logprobs_size(logprobs, top))


async def collect(run: AnswerRun, request: Request) -> Answer:
    """The answer; closes the run. ClientGone when the client left, ApiError when it failed."""
    answer = Answer()
    await read_all(run, request, answer.add)
    answer.prompts.sort(key=lambda prompt: prompt.index)
    if answer.choices and all(choice.finish_reason == "error" for choice in answer.choices):
        raise finished_badly(answer.choices[0].stop_reason)
    return answer


async def read_all(run: AnswerRun, request: Request, add: Callable[[Event], object]) -> None:
    """Hands every event to `add`; closes the run. ClientGone and ApiError as in `collect`."""
    try:
        await while_connected(request.receive, _read(run, add))
    finally:
        run.close()


async def _read(run: AnswerRun, add: Callable[[Event], object]) -> None:
    async for event in run:
        add(event)
