"""Special tokens that a user writes stay plain text, also inside a chat template's output.

A template writes "<|im_start|>" and means the token; a user who writes it must not open a turn.
So each such text in a message of a user, a tool or the assistant is broken by a mark before the
template renders, and the mark is taken out once the template's own special tokens are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyllm.errors import RequestError

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

Messages = Sequence[Mapping[str, Any]]

# Written by those who run the application. An answer is not: it may spell out what a user asked
# for, and a real special token never reaches its text.
_TRUSTED_ROLES = frozenset({"developer", "system"})
# Unicode's noncharacters: never assigned, so hardly ever in a message.
_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
_MAX_DEPTH = 100
_WHITE_SPACE = " \t\n\v\f\r"


class SpecialText:
    """Marks and encodes conversations for one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        special = filter(tokenizer.is_special, range(tokenizer.n_vocab))
        texts = {tokenizer.token_bytes(token).decode("utf-8", "replace") for token in special}
        # The longest first, as the tokenizer chooses; one character could not be broken.
        alternatives = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, alternatives)) or r"(?!)")

    def marked(self, messages: Messages) -> tuple[Messages, str | None]:
        """Messages whose untrusted texts hold no special token, and the mark that broke them.

        The mark is None when nothing had to be broken. Raises RequestError for messages nested
        deeper than 100 levels.
        """
        untrusted = [m for m in messages if m.get("role") not in _TRUSTED_ROLES]
        if not any(self._special.search(text) for text in _texts(untrusted)):
            return messages, None
        mark = unused_mark(messages)
        return [
            message if message.get("role") in _TRUSTED_ROLES else self._broken(message, mark)
            for message in messages
        ], mark

    def encode(self, text: str, mark: str | None) -> list[int]:
        """Ids of a rendered text; a special token with a mark inside is plain text."""
        encode = self._tokenizer.encode
        if mark is None:
            return encode(text, add_special=False, parse_special=True)
        ids: list[int] = []
        at, swallows = 0, False
        for match in [*self._special.finditer(text), None]:
            plain = text[at : match.start() if match else len(text)].replace(mark, "")
            plain = plain.lstrip(_WHITE_SPACE) if swallows else plain
            if plain:
                ids += encode(plain, add_special=False)
            if match:
                ids += encode(match[0], add_special=False, parse_special=True)
                at = match.end()
                # Some tokens swallow the white space behind them.
                swallows = len(encode(match[0] + " ", add_special=False, parse_special=True)) == 1
        return ids

    def _broken(self, value: Any, mark: str) -> Any:
        if isinstance(value, str):
            # Again until none is left: breaking one may leave another that overlapped it.
            while self._special.search(value):
                value = self._special.sub(lambda match: match[0][0] + mark + match[0][1:], value)
            return value
        if isinstance(value, Mapping):
            return {key: self._broken(item, mark) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._broken(item, mark) for item in value]
        return value


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise RequestError("messages", value, f"are nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, depth + 1)


def unused_mark(messages: Messages) -> str:
    """A character that no text of the messages holds. Raises RequestError when all are there."""
    used = set().union(*_texts(messages if isinstance(messages, list) else list(messages)))
    for mark in _MARKS:
        if mark not in used:
            return mark
    raise RequestError("messages", messages, "hold every noncharacter from U+FDD0 to U+FDEF")
