"""What the value of a flag may be: each function here makes a parser for one kind.

A parser takes the text as typed and returns the value; ValueError says what is wrong and what is
allowed, in words that follow "--temp: ".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from pyllm.durations import read_duration

__all__ = [
    "Parser",
    "Shard",
    "byte_size",
    "choice",
    "choices",
    "duration",
    "integer",
    "integers",
    "number",
    "number_or_inf",
    "sampler_names",
    "shard",
    "switch",
    "text",
    "token_biases",
]

Parser = Callable[[str], object]

# As in vLLM: a small letter counts in thousands, a capital in 1024s.
_MULTIPLIERS = {"": 1, "k": 10**3, "K": 2**10, "m": 10**6, "M": 2**20, "g": 10**9, "G": 2**30}
_INTEGER = re.compile(r"([+-]?\d{1,30}(?:\.\d{1,9})?)([kKmMgG]?)")


def integer(
    lowest: int, highest: int | None = None, *, nothing: dict[str, str] | None = None
) -> Parser:
    """A whole number in [lowest, highest], "32k" allowed; words in `nothing` give None.

    nothing  typed word → its meaning, for example {"-1": "no limit"}
    """
    allowed = _allowed(lowest, highest, nothing)

    def parse(typed: str) -> int | None:
        if nothing and typed.lower() in nothing:
            return None
        value = _human_integer(typed)
        if value is None:
            raise ValueError(f"{typed!r} is not a whole number; allowed: {allowed}")
        if value < lowest or (highest is not None and value > highest):
            raise ValueError(f"{typed} is out of range; allowed: {allowed}")
        return value

    return parse


def integers(lowest: int) -> Parser:
    """Whole numbers separated by commas: "512,1024"."""
    parse_one = integer(lowest)
    return lambda typed: [parse_one(part.strip()) for part in typed.split(",")]


def number(lowest: float, highest: float | None = None, *, above: bool = False) -> Parser:
    """A finite number in [lowest, highest], or in (lowest, highest] with `above`."""
    allowed = f"{'more than ' if above else ''}{_allowed(lowest, highest)}"
    if highest is None:
        allowed = f"more than {lowest:g}" if above else f"{lowest:g} or more"

    def parse(typed: str) -> float:
        try:
            value = float(typed)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"{typed!r} is not a number; allowed: {allowed}")
        if (
            value < lowest
            or (above and value == lowest)
            or (highest is not None and value > highest)
        ):
            raise ValueError(f"{typed} is out of range; allowed: {allowed}")
        return value

    return parse


def number_or_inf(above: float) -> Parser:
    """A number more than `above`, or "inf"."""
    parse_finite = number(above, above=True)

    def parse(typed: str) -> object:
        if typed.lower() == "inf":
            return math.inf
        try:
            return parse_finite(typed)
        except ValueError as error:
            raise ValueError(f"{error}, or inf") from None

    return parse


def choice(*allowed: str) -> Parser:
    """One of a few words."""

    def parse(typed: str) -> str:
        if typed not in allowed:
            raise ValueError(f"{typed!r} is not known; allowed: {', '.join(allowed)}")
        return typed

    return parse


def choices(*allowed: str) -> Parser:
    """Some of a few words, separated by commas: "f16,q8_0"."""
    parse_one = choice(*allowed)
    return lambda typed: [parse_one(part.strip()) for part in typed.split(",")]


def text(typed: str) -> str:
    """Any text that is valid Unicode."""
    try:
        typed.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("the text is not valid UTF-8") from None
    return typed


def duration(typed: str) -> float:
    """Seconds from "5m", "1h30m" or "300"; a negative number is for ever."""
    return read_duration(typed)


def byte_size(typed: str) -> int:
    """Bytes from "12G" or "12GiB"."""
    value = _human_integer(re.sub(r"(?i)(i?b)$", "", typed.strip()))
    if value is None or value < 1:
        raise ValueError(f"{typed!r} is no number of bytes; allowed: 1 or more, as 500M or 12G")
    return value


@dataclass(frozen=True)
class Shard:
    """The `index`th, from 1, of `count` parts."""

    index: int
    count: int


def shard(typed: str) -> Shard:
    """A part of N, as "1/4" to "4/4"."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", typed.strip(), re.ASCII)
    if match is None:
        raise ValueError(f"{typed!r} is no shard; allowed: i/N, as 1/4 to 4/4")
    found = Shard(int(match[1]), int(match[2]))
    if not 1 <= found.index <= found.count:
        raise ValueError(f"{typed} is out of range; allowed: 1/N to N/N")
    return found


def sampler_names(typed: str) -> list[str]:
    """llama.cpp's list of samplers, "top_k;top_p;temperature"; aliases become the usual names."""
    from pyllm.errors import RequestError
    from pyllm.sampling.order import canonical_names

    try:
        return list(canonical_names(typed))
    except RequestError as error:
        raise ValueError(f"{error.value!r} cannot be used; {error.message}") from None


def token_biases(typed: str) -> dict[int, float]:
    """llama.cpp's "15043+1,29871-0.5": token id, sign and value; "15043-inf" forbids a token."""
    biases = {}
    for part in typed.split(","):
        match = re.fullmatch(r"(\d{1,10})([+-]\d{1,3}(?:\.\d{1,9})?|-inf)", part.strip())
        if match is None:
            raise ValueError(f"{part!r} is no bias; allowed: a token id and a number, like 15043+1")
        biases[int(match[1])] = float(match[2])
    return biases


def switch(typed: str) -> bool:
    """How an environment variable turns a switch on or off."""
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"": False, "0": False, "false": False, "no": False, "off": False}
    if typed.lower() not in words:
        raise ValueError(f"{typed!r} is not known; allowed: 1, 0, true, false, yes, no, on, off")
    return words[typed.lower()]


def _human_integer(typed: str) -> int | None:
    match = _INTEGER.fullmatch(typed.strip().replace("_", ""))
    if match is None:
        return None
    digits, suffix = match.groups()
    whole, _, decimals = digits.partition(".")
    scaled = int(whole + decimals) * _MULTIPLIERS[suffix]
    quotient, rest = divmod(scaled, 10 ** len(decimals))
    return quotient if rest == 0 else None  # "1.5" is no whole number, "1.5k" is


def _allowed(lowest: float, highest: float | None, nothing: dict[str, str] | None = None) -> str:
    span = f"{lowest:g} or more" if highest is None else f"{lowest:g} to {highest:.15g}"
    words = [f"{word} ({meaning})" for word, meaning in (nothing or {}).items()]
    return ", ".join([span, *words])
