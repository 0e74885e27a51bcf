"""One answer as its parts, in the order in which they are written: reasoning, text, tool calls.

Dialects whose answers are lists of blocks or items write these down; see events.py for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyllm.server.errors import finished_badly
from pyllm.server.events import (
    CallArguments,
    CallStart,
    ChoiceEnd,
    Event,
    Text,
    Usage,
)

Kind: TypeAlias = Literal["reasoning", "text", "call"]


@dataclass(slots=True)
class Part:
    """Number `number` of the answer.

    text     so far; of a call: its arguments, which are JSON when the call is complete
    call_id  and name are of a call only
    """

    number: int
    kind: Kind
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class PartStart:
    """The part begins; it has no text yet."""

    part: Part


@dataclass(slots=True)
class PartPiece:
    """More of the part that is open."""

    part: Part
    text: str


@dataclass(slots=True)
class PartEnd:
    """The part is over; `whole`: the model ended it, not a limit on its tokens."""

    part: Part
    whole: bool


Step: TypeAlias = PartStart | PartPiece | PartEnd


class AnswerParts:
    """Reads the events of a run with one choice.

    end    how it ended, None while it runs
    usage  None before the last event
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.end: ChoiceEnd | None = None
        self.usage: Usage | None = None
        self._open: Part | None = None

    def read(self, event: Event) -> list[Step]:
        """What `event` means for the parts. ApiError for an answer that ends with an error."""
        match event:
            case Text(_, text, reasoning):
                kind: Kind = "reasoning" if reasoning else "text"
                steps = [] if self._is_open(kind) else self._start(kind)
                return [*steps, self._piece(text)]
            case CallStart(_, _, call_id, name):
                return self._start("call", call_id, name)
            case CallArguments(_, _, text):
                return [self._piece(text)]
            case ChoiceEnd(_, finish_reason, stop_reason):
                if finish_reason == "error":
                    raise finished_badly(stop_reason)
                self.end = event
                return self._close(whole=finish_reason != "length")
            case Usage():
                self.usage = event
        return []

    def _is_open(self, kind: Kind) -> bool:
        return self._open is not None and self._open.kind == kind

    def _start(self, kind: Kind, call_id: str = "", name: str = "") -> list[Step]:
        steps = self._close(whole=True)
        self._open = Part(len(self.parts), kind, call_id, name)
        self.parts.append(self._open)
        return [*steps, PartStart(self._open)]

    def _piece(self, text: str) -> PartPiece:
        assert self._open is not None
        self._open.pieces.append(text)
        return PartPiece(self._open, text)

    def _close(self, *, whole: bool) -> list[Step]:
        part, self._open = self._open, None
        return [] if part is None else [PartEnd(part, whole)]
