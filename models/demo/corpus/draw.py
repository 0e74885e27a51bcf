"""Draw: the random choices of one case, and what training never sees but evaluation does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from .case import Check, Exchange
from .noise import typed
from .phrase import choose, expansions, fill, picked
from .words import CITIES, CODAS, FRAGMENT_SOURCES, HELD_OUT_NAMES, NAMES, ONSETS, VOWELS

T = TypeVar("T")
_HELD_OUT_SHARE = 40  # one pair of larger numbers in 40 is kept for evaluation


class Draw:
    """held_out: names and number pairs come from those that training text never has."""

    def __init__(self, seed: str, *, held_out: bool = False) -> None:
        self.rng = random.Random(seed)
        self.held_out = held_out
        self.random = self.rng.random

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.random() * len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        return self.rng.sample(items, count)

    def between(self, low: int, high: int) -> int:
        return low + int(self.random() * (high - low + 1))

    def chance(self, share: float) -> bool:
        return self.random() < share

    def text(self, pattern: str, /, **slots: object) -> str:
        return choose(self.rng, pattern, slots)

    def asked(self, pattern: str, /, **slots: object) -> str:
        """As text, but typed by a user: sometimes without capitals, marks or care.

        The slots' values stay as they are, for the answer may have to repeat them.
        """
        return fill(typed(self.rng, picked(self.rng, pattern)), slots)

    def exchange(
        self, question: str, answer: str, /, short: str | None = None, **slots: object
    ) -> Exchange:
        """An exchange whose right answers are all texts of the `answer` pattern."""
        said = self.text(answer, **slots)
        right = Check("exact", expansions(answer, slots))
        return Exchange(self.asked(question, **slots), said, right, short)

    def name(self) -> str:
        """A first name; one in two is made up, so that names must be read, not remembered."""
        if self.held_out:
            return self.pick(HELD_OUT_NAMES)
        return self.invented().capitalize() if self.chance(0.5) else self.pick(NAMES)

    def names(self, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            name = self.name()
            if name not in found:
                found.append(name)
        return found

    def city(self) -> str:
        return self.invented().capitalize() if self.chance(0.35) else self.pick(CITIES)

    def invented(self) -> str:
        """A word that can be said but means nothing."""
        while True:
            style = self.random()
            if style < 0.35:
                word = "".join(self._syllable() for _ in range(self.between(1, 3)))
            elif style < 0.95:
                word = "".join(self._fragment() for _ in range(self.between(1, 3)))
            else:
                word = "".join(
                    self.pick("abcdefghijklmnopqrstuvwxyz") for _ in range(self.between(3, 7))
                )
            if 3 <= len(word) <= 11 and word.capitalize() not in HELD_OUT_NAMES:
                return word

    def _syllable(self) -> str:
        return self.pick(ONSETS) + self.pick(VOWELS) + self.pick(CODAS).replace("_", "")

    def _fragment(self) -> str:
        source = self.pick(FRAGMENT_SOURCES)
        start = self.between(0, max(0, len(source) - 3))
        return source[start : start + self.between(2, 5)]

    def pair(self, low: int, high: int) -> tuple[int, int]:
        """Two numbers; above 20 the pairs for training and for evaluation are disjoint."""
        while True:
            a, b = self.between(low, high), self.between(low, high)
            if max(a, b) <= 20 or is_reserved(a, b) == self.held_out:
                return a, b


def is_reserved(a: int, b: int) -> bool:
    """Whether evaluation, and no training text, uses this pair."""
    return (a * 7919 + b * 104_729) % 1_000_003 % _HELD_OUT_SHARE == 0
