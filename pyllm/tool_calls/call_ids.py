"""Ids of tool calls: a function of the request, so that the same request gives the same bytes."""

from __future__ import annotations

import hashlib

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def call_id(seed: str, index: int, *, is_short: bool) -> str:
    """`call_` and 24 letters and digits; only 9 of them where Mistral's templates insist on it."""
    number = int.from_bytes(hashlib.sha256(f"{index}:{seed}".encode()).digest(), "big")
    letters = []
    for _ in range(9 if is_short else 24):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(letters) if is_short else "call_" + "".join(letters)
