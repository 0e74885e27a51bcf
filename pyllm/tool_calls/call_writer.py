"""Calls on their way from a format's reader to events, held back until they are certain."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyllm.tool_calls.call_ids import call_id
from pyllm.tool_calls.events import Event, ToolCallArguments, ToolCallEnd, ToolCallStart
from pyllm.tool_calls.source import NotACall, Source
from pyllm.tool_calls.tools import Function

MAX_CALLS = 128


class CallWriter:
    """What readers call: `start`, `arguments` any number of times, `end`."""

    def __init__(
        self,
        source: Source,
        events: list[Event],
        functions: Mapping[str, Function],
        *,
        most: int,
        id_seed: str,
        has_short_ids: bool,
        is_certain: bool,
        before_call: Callable[[], None],
    ) -> None:
        """
        events      where they go
        most        calls that are reported; with 1, further ones are left out
        is_certain  a grammar guides the model: nothing has to be held back
        before_call called before a call's first event
        """
        self.count = 0
        self._source = source
        self._events = events
        self.functions = functions
        self._most = most
        self._id_seed = id_seed
        self._has_short_ids = has_short_ids
        self._is_certain = is_certain
        self._before_call = before_call
        self._held: list[Event] = []
        self._is_open = False  # its start is reported, its end is not

    def start(self, name: str) -> None:
        """A call of `name`. NotACall for a function that the request does not have."""
        if name not in self.functions or self.count >= MAX_CALLS:
            raise NotACall
        identity = call_id(self._id_seed, self.count, is_short=self._has_short_ids)
        self._held.append(ToolCallStart(self.count, identity, name))
        self._report_certain()

    def arguments(self, text: str) -> None:
        if text:
            self._held.append(ToolCallArguments(self.count, text))
            self._report_certain()

    def end(self) -> None:
        """The call is complete: from here on its text is no text of the answer."""
        self._held.append(ToolCallEnd(self.count))
        self._report()
        self._is_open = False
        self.count += 1

    def give_up(self) -> None:
        """The call that has begun is none; what was reported of it stays without an end."""
        self._held = []
        self.count += self._is_open
        self._is_open = False

    def _report_certain(self) -> None:
        if self._is_certain:
            self._report()

    def _report(self) -> None:
        if not self._is_open:
            self._before_call()
        if self.count < self._most:
            self._events += self._held
        self._held = []
        self._is_open = True
        self._source.take_record()
