"""JSON that comes in pieces: checked as it is read, and never held as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from pyllm.tool_calls.source import BLANKS, NotACall, Reading, Source

MAX_DEPTH = 64
_MAX_ATOM = 1024  # characters of a number
_MAX_NAME = 256  # characters of a key or a name, as JSON spells it
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_ATOM = re.compile(r"[-+.0-9A-Za-z]+")
_WHOLE_ATOM = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_HEX = frozenset("0123456789abcdefABCDEF")
_CONTROL = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


class NotJson(Exception):
    """A character that cannot follow."""


class JsonScanner:
    """One value. What it returns is the text read, with bare control characters escaped.

    A line break inside a string is a fault that models make and that every reader of JSON but
    the strictest forgives; escaped, the text is JSON for all of them.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._closers: list[str] = []
        self._next = self._value
        self._is_key = False
        self._escape = 0  # 1 behind a backslash, 2 to 5: hexadecimal digits that follow, plus 1
        self._atom = ""

    def take(self, text: str, at: int) -> tuple[int, str]:
        """Reads from `at`; returns where it stopped, at the value's end at the latest."""
        written: list[str] = []
        while at < len(text) and not self.is_complete:
            at = self._next(text, at, written)
        return at, "".join(written)

    def _value(self, text: str, at: int, written: list[str]) -> int:
        char = text[at]
        if char in BLANKS:
            written.append(char)
        elif char in "{[":
            if len(self._closers) >= MAX_DEPTH:
                raise NotJson
            self._closers.append("}" if char == "{" else "]")
            self._next = self._first_key if char == "{" else self._first_item
            written.append(char)
        elif char == '"':
            self._is_key = False
            self._next = self._string
            written.append(char)
        elif _ATOM.match(char):
            self._next = self._rest_of_atom
            return at
        else:
            raise NotJson
        return at + 1

    def _first_item(self, text: str, at: int, written: list[str]) -> int:
        if text[at] == "]":
            return self._closed(text, at, written)
        if text[at] not in BLANKS:
            self._next = self._value
        return self._value(text, at, written)

    def _first_key(self, text: str, at: int, written: list[str]) -> int:
        if text[at] == "}":
            return self._closed(text, at, written)
        return self._key(text, at, written)

    def _key(self, text: str, at: int, written: list[str]) -> int:
        if text[at] == '"':
            self._is_key = True
            self._next = self._string
        elif text[at] not in BLANKS:
            raise NotJson
        written.append(text[at])
        return at + 1

    def _colon(self, text: str, at: int, written: list[str]) -> int:
        if text[at] == ":":
            self._next = self._value
        elif text[at] not in BLANKS:
            raise NotJson
        written.append(text[at])
        return at + 1

    def _behind_value(self, text: str, at: int, written: list[str]) -> int:
        char = text[at]
        if char == self._closers[-1]:
            return self._closed(text, at, written)
        if char == ",":
            self._next = self._key if self._closers[-1] == "}" else self._value
        elif char not in BLANKS:
            raise NotJson
        written.append(char)
        return at + 1

    def _closed(self, text: str, at: int, written: list[str]) -> int:
        written.append(text[at])
        del self._closers[-1]
        self._end_value()
        return at + 1

    def _end_value(self) -> None:
        self._next = self._behind_value
        self.is_complete = not self._closers

    def _string(self, text: str, at: int, written: list[str]) -> int:
        char = text[at]
        if self._escape:
            self._escaped(char)
        elif char == '"':
            if self._is_key:
                self._next = self._colon
            else:
                self._end_value()
        elif char == "\\":
            self._escape = 1
        elif plain := _PLAIN.match(text, at):
            written.append(plain[0])
            return plain.end()
        else:
            char = _CONTROL.get(char, f"\\u{ord(char):04x}")
        written.append(char)
        return at + 1

    def _escaped(self, char: str) -> None:
        if self._escape == 1:
            if char not in '"\\/bfnrtu':
                raise NotJson
            self._escape = 5 if char == "u" else 0
        else:
            if char not in _HEX:
                raise NotJson
            self._escape = self._escape - 1 if self._escape > 2 else 0

    def _rest_of_atom(self, text: str, at: int, written: list[str]) -> int:
        """A number or a word; only the character behind it shows its end."""
        if part := _ATOM.match(text, at):
            self._atom += part[0]
            if len(self._atom) > _MAX_ATOM:
                raise NotJson
            return part.end()
        if not _WHOLE_ATOM.fullmatch(self._atom):
            raise NotJson
        written.append(self._atom)
        self._atom = ""
        self._end_value()
        return at


def is_json(text: str) -> bool:
    """Whether `text` is one value with nothing but blanks around it."""
    scanner = JsonScanner()
    try:
        end, _ = scanner.take(text + "\n", 0)  # a number ends where something follows
    except NotJson:
        return False
    return scanner.is_complete and not text[end:].strip(BLANKS)


def is_json_object(text: str) -> bool:
    return text.lstrip(BLANKS).startswith("{") and is_json(text)


def read_value(source: Source, write: Callable[[str], None]) -> Reading[None]:
    """One value, handed to `write` as it comes. NotACall for what is no JSON."""
    scanner = JsonScanner()
    while not scanner.is_complete:
        if not (yield from source.peek()):
            raise NotACall
        text, at = source.window()
        try:
            end, text = scanner.take(text, at)
        except NotJson:
            raise NotACall from None
        source.take(end - at)
        if text:
            write(text)


def read_object(source: Source, write: Callable[[str], None]) -> Reading[None]:
    if (yield from source.peek()) != "{":
        raise NotACall
    yield from read_value(source, write)


def read_name(source: Source) -> Reading[str]:
    """A string of at most 256 characters: a key, or a function's name."""
    if (yield from source.peek()) != '"':
        raise NotACall
    parts: list[str] = []

    def write(text: str) -> None:
        parts.append(text)
        if sum(map(len, parts)) > _MAX_NAME:
            raise NotACall

    yield from read_value(source, write)
    return str(json.loads("".join(parts)))
