"""What an answer is made of, in the order in which it is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class TextPiece:
    """More of the answer that a user reads."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    """More of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    """The model calls function `name`; `index` counts the calls of an answer from 0."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallArguments:
    """More of a call's arguments: the pieces of one call, joined, are one JSON object."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallEnd:
    """The call is complete."""

    index: int


Event: TypeAlias = TextPiece | ReasoningPiece | ToolCallStart | ToolCallArguments | ToolCallEnd


def joined_events(events: list[Event]) -> list[Event]:
    """The same with neighbours of one kind made one."""
    joined: list[Event] = []
    for (kind, index), group in groupby(events, _kind):
        if kind is TextPiece or kind is ReasoningPiece:
            joined.append(kind(_text(group)))
        elif kind is ToolCallArguments:
            joined.append(ToolCallArguments(index, _text(group)))
        else:
            joined += group
    return joined


def _kind(event: Event) -> tuple[type[Event], int]:
    return type(event), getattr(event, "index", -1)


def _text(events: Iterable[Event]) -> str:
    return "".join(getattr(event, "text", "") for event in events)
