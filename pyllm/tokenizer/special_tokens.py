"""Finding special tokens in text: at each place the longest one, from left to right.

The tokens, spelled backwards, form an Aho-Corasick automaton that runs from the end of a window
to its start: after reading position i its state knows the longest token that starts at i. Every
character is read once, however the tokens overlap, so hostile vocabularies cost linear time.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Collection, Iterator, Mapping

__all__ = ["SpecialTokens"]

_MAX_ALTERNATIVES = 16  # of the search for candidates; each is tried at every character


class SpecialTokens:
    """Splits text into plain pieces (str) and special tokens (int)."""

    def __init__(
        self, tokens: Mapping[str, int], swallow_space_after: Collection[int] = ()
    ) -> None:
        """`tokens` maps non-empty texts to ids; white space after some of them is dropped."""
        self._swallows = frozenset(swallow_space_after)
        self._max_chars = max(map(len, tokens), default=0)
        self._candidate = _first_two_characters(tokens)
        self._edges: list[dict[str, int]] = [{}]
        self._fallback = [0]  # state of the longest proper suffix
        self._found: list[tuple[int, int] | None] = [None]  # (length, id) of the longest token here
        for text, token in tokens.items():
            self._insert(text, token)
        self._link()

    def _insert(self, text: str, token: int) -> None:
        state = 0
        for char in reversed(text):
            if char not in self._edges[state]:
                self._edges[state][char] = len(self._edges)
                self._edges.append({})
                self._fallback.append(0)
                self._found.append(None)
            state = self._edges[state][char]
        self._found[state] = (len(text), token)

    def _link(self) -> None:
        """Breadth first, so that a state's shorter suffixes are linked before it."""
        states = deque(self._edges[0].values())
        while states:
            state = states.popleft()
            for char, child in self._edges[state].items():
                self._fallback[child] = self._advance(self._fallback[state], char)
                self._found[child] = self._found[child] or self._found[self._fallback[child]]
                states.append(child)

    def _advance(self, state: int, char: str) -> int:
        while state and char not in self._edges[state]:
            state = self._fallback[state]
        return self._edges[state].get(char, 0)

    def split(self, text: str) -> list[str | int]:
        """Plain pieces, none empty, and token ids, in order."""
        pieces: list[str | int] = []
        plain_from = 0
        for start, length, token in self._matches(text):
            if start < plain_from:
                continue
            if start > plain_from:
                pieces.append(text[plain_from:start])
            pieces.append(token)
            plain_from = start + length
            if token in self._swallows:
                plain_from = _after_space(text, plain_from)
        if plain_from < len(text):
            pieces.append(text[plain_from:])
        return pieces

    def _matches(self, text: str) -> Iterator[tuple[int, int, int]]:
        """(start, length, id) of the longest token at each place that has one, ascending."""
        for begin, end in self._windows(text):
            starts, lengths, tokens = array("q"), array("q"), array("q")
            state = 0
            for at in range(end - 1, begin - 1, -1):
                state = self._advance(state, text[at])
                found = self._found[state]
                if found is not None:
                    starts.append(at)
                    lengths.append(found[0])
                    tokens.append(found[1])
            yield from zip(reversed(starts), reversed(lengths), reversed(tokens), strict=True)

    def _windows(self, text: str) -> Iterator[tuple[int, int]]:
        """Disjoint stretches of text outside which no token starts or ends."""
        if self._candidate is None:
            return
        begin = end = 0
        for match in self._candidate.finditer(text):
            if match.start() > end:
                if end > begin:
                    yield begin, end
                begin = match.start()
            end = min(len(text), match.start() + self._max_chars)
        if end > begin:
            yield begin, end


def _first_two_characters(tokens: Collection[str]) -> re.Pattern[str] | None:
    """Matches every place where a token may start; most text has few."""
    seconds: dict[str, set[str]] = {}
    for text in tokens:
        seconds.setdefault(text[0], set()).add(text[1:2])
    if not seconds:
        return None
    # One alternative for all first characters followed by the same set keeps the pattern short.
    firsts: dict[str, str] = {}
    for first, follow in seconds.items():
        inside = "" if "" in follow else "".join(map(re.escape, sorted(follow)))
        firsts[inside] = firsts.get(inside, "") + re.escape(first)
    if len(firsts) > _MAX_ALTERNATIVES:
        firsts = {"": "".join(map(re.escape, seconds))}
    alternatives = [
        f"[{first}](?=[{inside}])" if inside else f"[{first}]" for inside, first in firsts.items()
    ]
    return re.compile("|".join(alternatives))


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\n\v\f\r":
        at += 1
    return at
