"""How people type: small letters, missing marks, slips of the finger, politeness."""

from __future__ import annotations

import random

_BEFORE = (
    "please ",
    "hey, ",
    "hi, ",
    "ok, ",
    "so, ",
    "can you help? ",
    "Hello! ",
    "hm, ",
    "well, ",
)
_BEHIND = (" please", " please?", " Thanks!", " thanks", " :)", "??", " pls")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typed(rng: random.Random, text: str) -> str:
    """`text` as one user or another would type it; seven in ten type it as it is."""
    if rng.random() < 0.62:
        return text
    draw = rng.random()
    if draw < 0.30:
        return _bare(text)
    if draw < 0.55:
        return _small(text)
    if draw < 0.80:
        return _small(_bare(text))
    if draw < 0.87:
        return _slip(rng, text)
    if draw < 0.93:
        return rng.choice(_BEFORE) + _small(text)
    if draw < 0.98:
        return _bare(text) + rng.choice(_BEHIND)
    return text.upper() if len(text) < 40 and "<" not in text else text


def _bare(text: str) -> str:
    return text.rstrip("?!. ") or text


def _small(text: str) -> str:
    """The first letter small; all of them when no later word has a capital to keep."""
    return text[:1].lower() + text[1:]


def _slip(rng: random.Random, text: str) -> str:
    """One letter lost, doubled, swapped or wrong in a longer word without digits or capitals."""
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) > 3 and word.isalpha()
              and word[1:].islower()]  # fmt: skip
    if not places:
        return text
    place = rng.choice(places)
    word = words[place]
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        word = word[:at] + word[at + 1 :]
    elif kind == 1:
        word = word[:at] + word[at] + word[at:]
    elif kind == 2:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    else:
        word = word[:at] + rng.choice(_LETTERS) + word[at + 1 :]
    words[place] = word
    return " ".join(words)
