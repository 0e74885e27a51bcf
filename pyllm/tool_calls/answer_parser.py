"""From the text that a model writes to text, reasoning and tool calls, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.channels import read_channels
from pyllm.tool_calls.events import (
    Event,
    ReasoningPiece,
    TextPiece,
    joined_events,
)
from pyllm.tool_calls.formats.base import CallFormat
from pyllm.tool_calls.reasoning import ReasoningMarkers, State, read_reasoning
from pyllm.tool_calls.source import Markers, NotACall, Reading, Source
from pyllm.tool_calls.tools import Function
from pyllm.tool_calls.trimmed import TrimmedText


class AnswerParser:
    """One answer. However its text is cut into pieces, the joined events are the same.

    Blanks around reasoning and around calls belong to neither. Nothing else is lost: what only
    looks like a call comes out as text, as soon as that is certain.
    """

    def __init__(
        self,
        *,
        reasoning: ReasoningMarkers | None,
        reasoning_state: State,
        call_format: CallFormat | None,
        functions: Mapping[str, Function],
        most_calls: int,
        id_seed: str,
        has_short_ids: bool,
        is_certain: bool,
    ) -> None:
        """
        call_format  None: calls are not looked for
        id_seed      calls get the same ids whenever this and their index are the same
        is_certain   a grammar guides the model, so that arguments need not be held back
        The rest is as in CallWriter.
        """
        self._events: list[Event] = []
        self._source = Source()
        self._text = TrimmedText(lambda text: self._events.append(TextPiece(text)))
        self._reasoning = reasoning
        self._reasoning_state = reasoning_state
        self._format = call_format
        self._calls = CallWriter(
            self._source,
            self._events,
            functions,
            most=most_calls,
            id_seed=id_seed,
            has_short_ids=has_short_ids,
            is_certain=is_certain,
            before_call=self._text.drop_blanks,
        )
        self._reading = self._read()
        self._is_done = False

    @property
    def call_count(self) -> int:
        """Calls that were reported so far."""
        return self._calls.count

    def feed(self, text: str) -> list[Event]:
        """What has become certain with `text`. Never raises for what a model may write."""
        self._source.feed(text)
        return self._go_on()

    def finish(self) -> list[Event]:
        """What was held back, when no text follows."""
        self._source.end()
        return self._go_on()

    def _go_on(self) -> list[Event]:
        if not self._is_done:
            self._is_done = next(self._reading, True) is True
        events = joined_events(self._events)
        self._events.clear()
        return events

    def _read(self) -> Reading[None]:
        if self._reasoning and self._reasoning.is_channels:
            calls = self._calls if self._format else None
            yield from read_channels(self._source, calls, self._text.write, self._write_reasoning)
            self._text.flush()
            return
        wrap = yield from self._read_reasoning()
        triggers = self._format.triggers if self._format else ()
        if self._format and not self._format.opening:
            yield from self._read_bare_calls()
        markers = Markers(*triggers, *filter(None, [wrap]))
        while True:
            part, found = self._source.next_part(markers)
            self._text.write(part)
            if found and found == wrap:
                self._source.take(len(found))
            elif found:
                yield from self._read_calls()
            elif self._source.is_over:
                break
            else:
                if not self._format:
                    self._text.flush()  # nothing that follows could make blanks superfluous
                yield
        if not self._calls.count:
            self._text.flush()

    def _read_reasoning(self) -> Reading[str]:
        """Returns the marker behind the answer, if one stood before it."""
        if self._reasoning is None:
            return ""
        is_over = self._reasoning_state == "closed"
        if not is_over:
            is_over = yield from read_reasoning(
                self._source,
                self._reasoning,
                is_open=self._reasoning_state == "open",
                write=self._write_reasoning,
            )
        if self._reasoning.wrap and (is_over or self._reasoning.always_wraps):
            opening, closing = self._reasoning.wrap
            if (yield from self._source.skips_behind_blanks(opening)):
                yield from self._source.skip_blanks()
                return closing
        return ""

    def _write_reasoning(self, text: str) -> None:
        self._events.append(ReasoningPiece(text))

    def _read_bare_calls(self) -> Reading[None]:
        """Calls without a marker make up the whole answer, or its beginning."""
        if (yield from self._source.peek_behind_blanks()) in tuple("{["):
            yield from self._read_calls()

    def _read_calls(self) -> Reading[None]:
        assert self._format is not None
        self._source.start_record()
        try:
            yield from self._format.read(self._source, self._calls)
            self._source.stop_record()
            yield from self._source.skip_blanks()
        except NotACall:
            self._calls.give_up()
            self._text.write(self._source.stop_record())
