"""Hand-made answers: what a run would report, without a model."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pyllm.server.errors import ApiError
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

PROMPT = PromptRead(0, "prompt", [1, 2, 3], None)
USAGE = Usage(12, 9, 4, reasoning_tokens=3)

TEXT: list[Event] = [PROMPT, Text(0, "Hel"), Text(0, "lo"), ChoiceEnd(0, "stop", None), USAGE]
THOUGHT_AND_CALLS: list[Event] = [
    PROMPT,
    Tokens(0, [7], None),
    Text(0, "Let me ", reasoning=True),
    Text(0, "look.", reasoning=True),
    Text(0, "I ask."),
    CallStart(0, 0, "call_a", "weather"),
    CallArguments(0, 0, '{"city": '),
    CallArguments(0, 0, '"Oslo"}'),
    CallStart(0, 1, "call_b", "now"),
    CallArguments(0, 1, "{}"),
    ChoiceEnd(0, "tool_calls", None),
    USAGE,
]
CUT: list[Event] = [PROMPT, Text(0, "Once"), ChoiceEnd(0, "length", None), USAGE]


async def run_of(events: list[Event], error: ApiError | None = None) -> AsyncIterator[Event]:
    for event in events:
        yield event
    if error is not None:
        raise error
