"""Phrases with choices: "{Hi|Hello} <name>" is one of two greetings to whoever <name> is."""

from __future__ import annotations

import itertools
import random
import re
from functools import lru_cache

_SLOT = re.compile(r"<([a-z_0-9]+)>")
_MAX_EXPANSIONS = 4096

# A phrase is a list of parts; a part is a text or a list of alternatives (phrases).
Part = str | list["Phrase"]
Phrase = list[Part]


@lru_cache(maxsize=100_000)
def parse(pattern: str) -> Phrase:
    """Raises ValueError when braces do not match."""
    alternatives, end = _alternatives(pattern, 0, inside=False)
    if end != len(pattern):
        raise ValueError(f"unmatched brace in {pattern!r}")
    return alternatives[0]


def _alternatives(pattern: str, at: int, *, inside: bool) -> tuple[list[Phrase], int]:
    found: list[Phrase] = [[]]
    text = ""
    while at < len(pattern) and not (inside and pattern[at] == "}"):
        if pattern[at] == "{":
            choices, at = _alternatives(pattern, at + 1, inside=True)
            if at == len(pattern):
                raise ValueError(f"unmatched brace in {pattern!r}")
            found[-1] += [text, choices]
            text = ""
        elif inside and pattern[at] == "|":
            found[-1].append(text)
            found.append([])
            text = ""
        else:
            text += pattern[at]
        at += 1
    found[-1].append(text)
    return found, at


def choose(rng: random.Random, pattern: str, slots: dict[str, object]) -> str:
    """One of the pattern's texts, its slots filled."""
    return fill(picked(rng, pattern), slots)


def picked(rng: random.Random, pattern: str) -> str:
    """One of the pattern's texts, its slots still to be filled."""
    return _chosen(rng, parse(pattern))


def _chosen(rng: random.Random, phrase: Phrase) -> str:
    return "".join(
        part if isinstance(part, str) else _chosen(rng, part[int(rng.random() * len(part))])
        for part in phrase
    )


def expansions(pattern: str, slots: dict[str, object]) -> tuple[str, ...]:
    """Every text of the pattern, its slots filled. Raises ValueError for more than 4096."""
    texts = [fill(text, slots) for text in _expanded(parse(pattern))]
    if len(texts) > _MAX_EXPANSIONS:
        raise ValueError(f"{len(texts)} texts from {pattern!r}")
    return tuple(texts)


def _expanded(phrase: Phrase) -> list[str]:
    options = [
        [part] if isinstance(part, str) else [text for choice in part for text in _expanded(choice)]
        for part in phrase
    ]
    return ["".join(parts) for parts in itertools.product(*options)]


def fill(text: str, slots: dict[str, object]) -> str:
    """Raises KeyError for a slot without a value."""
    return _SLOT.sub(lambda match: str(slots[match[1]]), text) if "<" in text else text
