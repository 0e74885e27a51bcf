"""Where a model's reasoning begins and ends: markers, found in its chat template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyllm.tool_calls.formats.channel_calls import ANALYSIS, FINAL, NEXT_MESSAGE
from pyllm.tool_calls.source import BLANKS, Markers, Reading, Source
from pyllm.tool_calls.trimmed import TrimmedText

# The reasoning at the end of a prompt: its marker stands there, it is over, or nothing is said.
State: TypeAlias = Literal["open", "closed", "unsaid"]


@dataclass(frozen=True, slots=True)
class ReasoningMarkers:
    """
    wrap         markers around the answer behind the reasoning, which are left out
    is_channels  the whole answer is written in channels: channels.py reads it
    """

    start: str
    end: str
    wrap: tuple[str, str] | None = None
    is_channels: bool = False

    @property
    def always_wraps(self) -> bool:
        """Whether an answer is wrapped without reasoning too; "<response>" may be the answer's."""
        return self.wrap is not None and self.wrap[0].startswith("<|")

    def is_in(self, template: str) -> bool:
        # The end alone is enough: DeepSeek-R1's first template only ever takes reasoning out.
        if self.is_channels:
            return "<|channel|>" in template and "<|message|>" in template
        return self.start in template or self.end in template

    def state(self, prompt_text: str) -> State:
        prompt = prompt_text[-256:].rstrip(BLANKS)
        if prompt.endswith(self.start.rstrip(BLANKS)):
            return "open"
        return "closed" if prompt.endswith(self.end.rstrip(BLANKS)) else "unsaid"

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.start, self.end, *(self.wrap or ()))


# The first that a template holds is taken.
_TABLE = (
    ReasoningMarkers(ANALYSIS, NEXT_MESSAGE, wrap=(FINAL, ""), is_channels=True),
    ReasoningMarkers("[THINK]", "[/THINK]"),
    ReasoningMarkers("<seed:think>", "</seed:think>"),
    ReasoningMarkers("<mm:think>", "</mm:think>"),
    ReasoningMarkers(
        "<|START_THINKING|>", "<|END_THINKING|>", wrap=("<|START_TEXT|>", "<|END_TEXT|>")
    ),
    ReasoningMarkers("<|inner_prefix|>", "<|inner_suffix|>"),
    ReasoningMarkers("<|channel>thought\n", "<channel|>"),
    ReasoningMarkers("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),
    ReasoningMarkers("<think>", "</think>", wrap=("<response>", "</response>")),
)


def detect_reasoning(template: str) -> ReasoningMarkers | None:
    return next((markers for markers in _TABLE if markers.is_in(template)), None)


def read_reasoning(
    source: Source, markers: ReasoningMarkers, *, is_open: bool, write: Callable[[str], None]
) -> Reading[bool]:
    """Hands reasoning to `write`, without the blanks around it; whether there was any block.

    Reasoning stands at the beginning: "<think>" further on is text like any other. Blanks before
    the answer are read with it; where there is no reasoning they are not.
    """
    if not is_open and not (yield from source.skips_behind_blanks(markers.start.rstrip(BLANKS))):
        return False
    yield from source.skip_blanks()
    reasoning = TrimmedText(write)
    end = Markers(markers.end)
    while True:
        part, found = source.next_part(end)
        reasoning.write(part)
        if found:
            source.take(len(found))
            yield from source.skip_blanks()
            return True
        if source.is_over:
            return True
        yield
