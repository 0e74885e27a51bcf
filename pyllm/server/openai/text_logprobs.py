"""Which of an answer's tokens wrote which of its parts, so that each text has its own logprobs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

from pyllm.server.events import TokenLogprobs
from pyllm.server.openai.logprobs import chat_logprobs
from pyllm.tokenizer import Tokenizer


class TextLogprobs:
    """Entries as chats have them, `top` of the most probable tokens in each."""

    def __init__(self, tokenizer: Tokenizer, top: int) -> None:
        self._tokenizer = tokenizer
        self._top = top
        self._entries: list[dict[str, Any]] = []
        self._ends: list[int] = []  # of each token's bytes in `_written`
        self._written = bytearray()
        self._new = 0  # entries before this one were taken
        self._found = 0  # bytes before this one belong to parts that are over

    def add(self, token_ids: list[int], logprobs: TokenLogprobs) -> None:
        """The next tokens. Those that end an answer are no part of it."""
        entries = chat_logprobs(self._tokenizer, token_ids, logprobs, self._top)
        for token, entry in zip(token_ids, entries, strict=True):
            if token not in self._tokenizer.eog_ids:
                self._entries.append(entry)
                self._written += self._tokenizer.token_bytes(token)
                self._ends.append(len(self._written))

    def __len__(self) -> int:
        """Tokens so far."""
        return len(self._entries)

    def take_new(self) -> list[dict[str, Any]]:
        """Of the tokens since this was last asked: how many, depends on when it is asked."""
        new = self._entries[self._new :]
        self._new = len(self._entries)
        return new

    def of_part(self, text: str) -> list[dict[str, Any]]:
        """Of the tokens that wrote `text`, the next part that is over; markers around it are not
        its tokens. When `text` is not what they wrote (it was no UTF-8): of all that follow."""
        sought = text.encode("utf-8", "replace")
        at = self._written.find(sought, self._found)
        end = at + len(sought) if at >= 0 else len(self._written)
        at = at if at >= 0 else self._found
        self._found = end
        return self._entries[bisect_right(self._ends, at) : bisect_left(self._ends, end) + 1]
