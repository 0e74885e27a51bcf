"""Finding stop strings in text that arrives in pieces, whatever the pieces are.

An Aho-Corasick automaton: after every character its state is the longest suffix of the text that
is a prefix of some stop string. Those characters, and no others, must be held back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class StopMatcher:
    """The automaton of one set of stop strings; immutable, shared by a request's continuations."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.edges: list[dict[str, int]] = [{}]
        self.fallback = [0]  # the state of the longest proper suffix
        self.depth = [0]  # characters of a stop string matched so far
        self.matched = [0]  # length of the longest stop string that ends here, 0 = none
        for stop in stops:
            self._insert(stop)
        self.starts = frozenset(self.edges[0])  # the first character of each
        self._link()

    def _insert(self, stop: str) -> None:
        state = 0
        for char in stop:
            if char not in self.edges[state]:
                self.edges[state][char] = len(self.edges)
                self.edges.append({})
                self.fallback.append(0)
                self.depth.append(self.depth[state] + 1)
                self.matched.append(0)
            state = self.edges[state][char]
        self.matched[state] = len(stop)

    def _link(self) -> None:
        """Breadth first, so that a state's shorter suffixes are linked before it."""
        states = deque(self.edges[0].values())
        while states:
            state = states.popleft()
            for char, child in self.edges[state].items():
                self.fallback[child] = self.advance(self.fallback[state], char)
                self.matched[child] = self.matched[child] or self.matched[self.fallback[child]]
                states.append(child)

    def advance(self, state: int, char: str) -> int:
        while state and char not in self.edges[state]:
            state = self.fallback[state]
        return self.edges[state].get(char, 0)


class StopStrings:
    """Lets text through up to the first stop string to be completed (the longest, on a tie)."""

    def __init__(self, matcher: StopMatcher, *, include_in_output: bool) -> None:
        self._matcher = matcher
        self._include = include_in_output
        self._state = 0
        self._held = ""
        self.matched: str | None = None

    def push(self, text: str, may_match: bool = True) -> str:
        """The text that may be shown now. After a match, sets `matched` and lets nothing through.

        `may_match=False` lets completed stop strings pass (fewer than min_tokens tokens so far).
        """
        if self.matched is not None:
            return ""
        matcher = self._matcher
        if not self._state and matcher.starts.isdisjoint(text):  # nearly always
            return text
        pending = self._held + text
        for end, char in enumerate(text, len(self._held) + 1):
            self._state = matcher.advance(self._state, char)
            length = matcher.matched[self._state]
            if length and may_match:
                self.matched = pending[end - length : end]
                self._held = ""
                return pending[: end if self._include else end - length]
        shown = len(pending) - matcher.depth[self._state]
        self._held = pending[shown:]
        return pending[:shown]

    def flush(self) -> str:
        """What was held back, once no more text can come."""
        held, self._held, self._state = self._held, "", 0
        return held
