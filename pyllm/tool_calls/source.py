"""Text that comes in pieces, for readers that are written as if it were all there.

A reader is a generator: it yields where it needs more text and goes on when there is some.
Nothing is looked at twice but what could still become a marker, so time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Reading: TypeAlias = Generator[None, None, T]

MAX_CALL_CHARS = 1 << 20  # of one call: four times what a context of 64k tokens can hold
_MAX_BLANKS = 1024  # in front of a marker
BLANKS = " \t\r\n"
_NOT_BLANK = re.compile(r"[^ \t\r\n]")


class NotACall(Exception):
    """What looked like a call is none; its text belongs to the answer."""


class Source:
    """The text that is not read yet, and on demand a record of what was read."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._ended = False
        self._recording = False
        self._record: list[str] = []
        self._recorded_chars = 0

    def feed(self, text: str) -> None:
        self._text = self._text[self._at :] + text
        self._at = 0

    def end(self) -> None:
        self._ended = True

    def start_record(self) -> None:
        """From here on everything read is kept, until `take_record`."""
        self._recording = True
        self._record = []
        self._recorded_chars = 0

    def take_record(self) -> str:
        """What was read since the record began, or was last taken."""
        text = "".join(self._record)
        self._record = []
        self._recorded_chars = 0
        return text

    def stop_record(self) -> str:
        self._recording = False
        return self.take_record()

    def take(self, count: int) -> str:
        """The next `count` characters, which are there."""
        text = self._text[self._at : self._at + count]
        self._at += len(text)
        if self._recording:
            self._record.append(text)
            self._recorded_chars += len(text)
            if self._recorded_chars > MAX_CALL_CHARS:
                raise NotACall
        return text

    def window(self) -> tuple[str, int]:
        """A text and where in it begins what is there and not read. `take` says what was."""
        return self._text, self._at

    def peek(self) -> Reading[str]:
        """The next character, "" at the end of the text."""
        while self._at == len(self._text):
            if self._ended:
                return ""
            yield
        return self._text[self._at]

    def skip_blanks(self) -> Reading[None]:
        while True:
            found = _NOT_BLANK.search(self._text, self._at)
            self.take((found.start() if found else len(self._text)) - self._at)
            if found or self._ended:
                return
            yield

    def skips(self, text: str) -> Reading[bool]:
        """Whether `text` comes next; it is read only if so."""
        while not self._ended and len(self._text) - self._at < len(text):
            if not text.startswith(self._text[self._at :]):
                return False
            yield
        if not self._text.startswith(text, self._at):
            return False
        self.take(len(text))
        return True

    def skips_behind_blanks(self, text: str) -> Reading[bool]:
        """As `skips`, over blanks in front of `text`; without it they are not read either."""
        at = 0  # blanks seen so far
        while True:
            found = _NOT_BLANK.search(self._text, self._at + at)
            at = (found.start() if found else len(self._text)) - self._at
            if at > _MAX_BLANKS:
                return False
            if self._text.startswith(text, self._at + at):
                self.take(at + len(text))
                return True
            if self._ended or not text.startswith(self._text[self._at + at :]):
                return False
            yield

    def peek_behind_blanks(self) -> Reading[str]:
        """The next character that is no blank, "" when none comes; nothing is read."""
        at = 0
        while True:
            found = _NOT_BLANK.search(self._text, self._at + at)
            at = (found.start() if found else len(self._text)) - self._at
            if at > _MAX_BLANKS or self._ended or found:
                return found[0] if found and at <= _MAX_BLANKS else ""
            yield

    def expect(self, text: str) -> Reading[None]:
        if not (yield from self.skips(text)):
            raise NotACall

    def until(self, pattern: Markers, max_chars: int = MAX_CALL_CHARS) -> Reading[str]:
        """The text before the next marker, which is not read. NotACall when none comes."""
        parts: list[str] = []
        while True:
            part, found = self.next_part(pattern)
            parts.append(part)
            max_chars -= len(part)
            if max_chars < 0:
                raise NotACall
            if found:
                return "".join(parts)
            if self._ended:
                raise NotACall
            yield

    def next_part(self, pattern: Markers) -> tuple[str, str]:
        """Text that is certainly before a marker, and the marker when it comes right behind it."""
        found = pattern.whole.search(self._text, self._at)
        if found:
            return self.take(found.start() - self._at), found[0]
        end = len(self._text)
        if not self._ended and (begun := pattern.begun.search(self._text, self._at)):
            end = begun.start()
        return self.take(end - self._at), ""

    @property
    def is_over(self) -> bool:
        return self._ended and self._at == len(self._text)


class Markers:
    """Some texts to look for: whole ones, and the beginning of one at the end of a piece."""

    def __init__(self, *texts: str) -> None:
        # The longest first: "<tool_calls>" is not "<tool_call" and a rest.
        ordered = sorted(texts, key=len, reverse=True)
        self.whole = re.compile("|".join(map(re.escape, ordered)) or r"(?!)")
        begun = "|".join(_beginnings(text) for text in ordered if len(text) > 1)
        self.begun = re.compile(rf"(?:{begun})\Z" if begun else r"(?!)")


def _beginnings(text: str) -> str:
    """An expression for every proper, non-empty beginning of `text`."""
    pattern = ""
    for char in reversed(text[:-1]):
        pattern = f"{re.escape(char)}(?:{pattern})?" if pattern else re.escape(char)
    return pattern
