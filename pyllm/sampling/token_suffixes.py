"""Which of many token sequences end a text, found in one walk backwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(slots=True)
class _Node:
    following: dict[int, _Node] = field(default_factory=dict)  # by the token before
    values: list[int] = field(default_factory=list)  # of the sequences that begin here


class TokenSuffixes:
    """A trie of reversed sequences: a walk takes at most as many steps as the longest is long,
    however many there are.
    """

    def __init__(self) -> None:
        self._root = _Node()

    def __bool__(self) -> bool:
        return bool(self._root.following)

    def add(self, sequence: Iterable[int], value: int) -> None:
        """Remember a sequence that has tokens, and a number to go with it."""
        node = self._root
        for token in reversed(tuple(sequence)):
            node = node.following.setdefault(token, _Node())
        node.values.append(value)

    def matches(
        self, tokens: Sequence[int] | npt.NDArray[np.int32], start: int, end: int
    ) -> Iterator[int]:
        """The values of all sequences that tokens[start:end] ends with; the shortest come first."""
        node = self._root
        for place in range(end - 1, start - 1, -1):
            following = node.following.get(int(tokens[place]))
            if following is None:
                return
            yield from following.values
            node = following
