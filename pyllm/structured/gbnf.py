"""GBNF, the grammar notation of llama.cpp, read and written again as Lark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pyllm.errors import RequestError

_FIELD = "structured_outputs.grammar"
_DEFINITION = re.compile(r"^[ \t]*[\w-]+[ \t]*::=", re.MULTILINE)
_BLANK = re.compile(r"(?:[ \t]|#[^\n\r]*)*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\n\r]*)*")
_NAME = re.compile(r"[\w-]+", re.ASCII)
_REPEAT = re.compile(r"[*+?]|\{[ \t]*(\d{1,6})[ \t]*(?:(,)[ \t]*(\d{0,6})[ \t]*)?\}")
_CHARACTER = re.compile(
    r"""\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\([trn\\"\[\]])|([^\\])""",
    re.DOTALL,
)
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}
_MOST_NESTED = 100  # groups within groups: far from the end of Python's stack


def is_gbnf(grammar: str) -> bool:
    return _DEFINITION.search(grammar) is not None


def lark_of_gbnf(grammar: str) -> str:
    """The same grammar in Lark's syntax; raises RequestError naming line and fault.

    A rule that does not lead back to itself becomes a terminal, which llguidance matches with an
    automaton. Terminals take the longest match: within a recursive grammar, `[a-z]+` leaves no
    letter to what follows it. A grammar without recursion is one terminal, matched exactly.
    """
    rules = _Parser(grammar).rules()
    if "root" not in rules:
        raise RequestError(_FIELD, "root", "is not defined: a GBNF grammar begins with this rule")
    terminals = _regular(rules)
    names = {
        name: f"{'R' if name in terminals else 'r'}{number}" for number, name in enumerate(rules)
    }
    lines = [f"start: {names['root']}"]
    for name, rule in rules.items():
        body = " ".join(names[p.name] if isinstance(p, _Reference) else p for p in rule.pieces)
        lines.append(f"{names[name]}: {body}")
    return "\n".join(lines)


@dataclass(slots=True)
class _Reference:
    name: str
    line: int


@dataclass(slots=True)
class _Rule:
    pieces: list[str | _Reference] = field(default_factory=list)

    def references(self) -> Iterator[_Reference]:
        return (piece for piece in self.pieces if isinstance(piece, _Reference))


def _regular(rules: dict[str, _Rule]) -> set[str]:
    """Names of the rules from which no way leads to a rule that contains itself."""
    users: dict[str, list[str]] = {name: [] for name in rules}
    missing = {}
    for name, rule in rules.items():
        for reference in rule.references():
            if reference.name not in rules:
                limit = f"is used in line {reference.line}, but not defined"
                raise RequestError(_FIELD, reference.name, limit)
            users[reference.name].append(name)
        missing[name] = sum(1 for _ in rule.references())
    ready = [name for name, count in missing.items() if count == 0]
    regular = set(ready)
    while ready:
        for user in users[ready.pop()]:
            missing[user] -= 1
            if missing[user] == 0:
                regular.add(user)
                ready.append(user)
    return regular


class _Parser:
    """Recursive descent; `pieces` grows by Lark's spelling of what was read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rules(self) -> dict[str, _Rule]:
        found: dict[str, _Rule] = {}
        self._skip(_BLANK_LINES)
        while self._at < len(self._text):
            name = self._match(_NAME, "a rule's name")[0]
            self._skip(_BLANK)
            self._expect("::=")
            self._skip(_BLANK_LINES)
            rule = found[name] = _Rule()  # llama.cpp too takes the last definition
            self._alternatives(rule.pieces, 0)
            if self._at < len(self._text) and self._text[self._at] not in "\r\n":
                raise self._error("expected the end of the line")
            self._skip(_BLANK_LINES)
        return found

    def _alternatives(self, pieces: list[str | _Reference], depth: int) -> None:
        if depth > _MOST_NESTED:
            raise self._error(f"groups may be nested {_MOST_NESTED} deep")
        self._sequence(pieces, depth)
        while self._text.startswith("|", self._at):
            self._at += 1
            self._skip(_BLANK_LINES)
            pieces.append("|")
            self._sequence(pieces, depth)

    def _sequence(self, pieces: list[str | _Reference], depth: int) -> None:
        blank = _BLANK_LINES if depth else _BLANK
        begin = len(pieces)
        while True:
            element = len(pieces)
            if not self._element(pieces, depth):
                break
            self._skip(blank)
            while repeat := _REPEAT.match(self._text, self._at):
                self._at = repeat.end()
                pieces.insert(element, "(")
                pieces.append(f"){_repetition(repeat)}")
                self._skip(blank)
        if len(pieces) == begin:
            pieces.append('""')

    def _element(self, pieces: list[str | _Reference], depth: int) -> bool:
        first = self._text[self._at : self._at + 1]
        if first == '"':
            pieces.append(self._literal())
        elif first == "[":
            pieces.append(self._class())
        elif first == ".":
            self._at += 1
            pieces.append("/(?s:.)/")
        elif first == "(":
            self._at += 1
            self._skip(_BLANK_LINES)
            pieces.append("(")
            self._alternatives(pieces, depth + 1)
            self._expect(")")
            pieces.append(")")
        elif name := _NAME.match(self._text, self._at):
            pieces.append(_Reference(name[0], self._line()))
            self._at = name.end()
        else:
            return False
        return True

    def _literal(self) -> str:
        self._at += 1
        spelled = []
        while not self._text.startswith('"', self._at):
            spelled.append(self._character())
        self._at += 1
        return f"/{''.join(spelled)}/" if spelled else '""'

    def _class(self) -> str:
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        spelled = []
        while not self._text.startswith("]", self._at):
            low = self._character()
            # "-" before the closing bracket is a character, otherwise it spans a range.
            if self._text.startswith("-", self._at) and self._text[self._at + 1 :][:1] != "]":
                self._at += 1
                low = f"{low}-{self._character()}"
            spelled.append(low)
        self._at += 1
        if not spelled:
            raise self._error("a class of no characters")
        return f"/[{'^' if negated else ''}{''.join(spelled)}]/"

    def _character(self) -> str:
        """One character as a regular expression spells it, inside a class or outside."""
        found = self._match(_CHARACTER, "a character or an escape that GBNF knows")
        by_code = found[1] or found[2] or found[3]
        code = int(by_code, 16) if by_code else ord(_ESCAPES.get(found[4], found[4]) or found[5])
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise self._error(f"U+{code:X} is no character")
        return f"\\x{{{code:x}}}"

    def _skip(self, blank: re.Pattern[str]) -> None:
        found = blank.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _match(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error(f"expected {what}")
        self._at = found.end()
        return found

    def _expect(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise self._error(f"expected {text}")
        self._at += len(text)

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _error(self, fault: str) -> RequestError:
        rest = self._text[self._at :][:24] or "the end"
        return RequestError(_FIELD, rest, f"line {self._line()}: {fault}")


def _repetition(found: re.Match[str]) -> str:
    if found[1] is None:
        return found[0]
    if found[2] is None:
        return f"{{{found[1]}}}"
    return f"{{{found[1]},{found[3]}}}"
