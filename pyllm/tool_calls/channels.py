"""An answer in channels, as gpt-oss writes it: analysis, commentary with calls, the final text.

<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pyllm.tool_calls.call_writer import CallWriter
from pyllm.tool_calls.formats.channel_calls import ChannelCalls
from pyllm.tool_calls.source import Markers, NotACall, Reading, Source
from pyllm.tool_calls.trimmed import TrimmedText

_HEADING_END = Markers("<|message|>")
_MAX_HEADING = 512
_ENDS = ("<|end|>", "<|return|>", "<|call|>")
_MESSAGE_END = Markers(*_ENDS, "<|start|>", "<|channel|>")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)", re.ASCII)
_RECIPIENT = re.compile(r"\bto=functions\.([\w.-]+)", re.ASCII)


def read_channels(
    source: Source,
    calls: CallWriter | None,
    write_text: Callable[[str], None],
    write_reasoning: Callable[[str], None],
) -> Reading[None]:
    """The whole answer. `calls` None: a call is text like any other."""
    while True:
        source.start_record()
        try:
            yield from source.skip_blanks()
            first = yield from source.peek()
            if not first:
                source.stop_record()
                return
            if first not in tuple("<t"):  # "to=functions.…" may stand before the channel
                raise NotACall
            heading = yield from source.until(_HEADING_END, _MAX_HEADING)
            yield from source.expect("<|message|>")
            recipient = _RECIPIENT.search(heading)
            if recipient and calls:
                yield from _read_call(source, calls, recipient[1])
                continue
            source.stop_record()
        except NotACall:
            heading = ""
            write_text(source.stop_record())
        channel = _CHANNEL.search(heading)
        is_analysis = channel is not None and channel[1] == "analysis"
        yield from _read_text(source, write_reasoning if is_analysis else write_text)


def _read_call(source: Source, calls: CallWriter, name: str) -> Reading[None]:
    try:
        calls.start(name)
        yield from ChannelCalls().read(source, calls)
    except NotACall:
        calls.give_up()
        raise
    source.stop_record()
    for end in _ENDS:
        yield from source.skips(end)


def _read_text(source: Source, write: Callable[[str], None]) -> Reading[None]:
    """A message's text up to its end, or to the beginning of the next one."""
    text = TrimmedText(write)
    while True:
        part, found = source.next_part(_MESSAGE_END)
        text.write(part)
        if found:
            if found in _ENDS:
                source.take(len(found))
            return
        if source.is_over:
            text.flush()
            return
        yield
