"""How byte-level BPE vocabularies cut text into words before merging (`tokenizer.ggml.pre`).

Each family is one regular expression over Unicode classes, written with Python's `re`: its
repeats of a single class use neither stack nor heap, so 8 MB of one letter is one flat loop.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from pyllm.errors import printable
from pyllm.tokenizer.unicode_ranges import LETTERS, NUMBERS, PUNCTUATION, WHITESPACE, Ranges

__all__ = [
    "CHUNK_CHARS",
    "FAMILIES",
    "PreTokenizer",
    "UnknownPreTokenizerWarning",
    "chunks",
    "pre_tokenizer",
]


class UnknownPreTokenizerWarning(UserWarning):
    """The file names no pre-tokenizer, or one pyllm does not know: its tokens may be wrong."""


# {L} {N} {P} {S}: insides of character classes for letters, numbers, punctuation, white space.
_GPT2 = "'(?:[stmd]|re|ve|ll)| ?[{L}]+| ?[{N}]+| ?[^{S}{L}{N}]+|[{S}]+(?![^{S}])|[{S}]+"
_LLAMA3 = (
    "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\\r\\n{L}{N}]?[{L}]+|[{N}]{{1,3}}"
    "| ?[^{S}{L}{N}]+[\\r\\n]*|[{S}]*[\\r\\n]+|[{S}]+(?![^{S}])|[{S}]+"
)
_QWEN2 = _LLAMA3.replace("[{N}]{{1,3}}", "[{N}]")
# Numbers are cut out one by one before anything else, so white space ends before a number too.
_STARCODER = "'(?:[stmd]|re|ve|ll)| ?[{L}]+|[{N}]| ?[^{S}{L}{N}]+|[{S}]+(?![^{S}{N}])|[{S}]+"
# Four passes, each over the pieces of the one before; what a pass does not match is a piece too.
_SYMBOLS = "{P}$+<=>^~|"
_DEFAULT = (
    "[" + _SYMBOLS + "]+|[^" + _SYMBOLS + "]+",
    _GPT2,
    "[{N}]+|[^{N}]+",
    "(?s:[0-9]{{3}}|.+?(?=[0-9]{{3}}|\\Z))",
)


@dataclass(frozen=True, slots=True)
class Family:
    """A cutting rule and the vocabularies that use it."""

    passes: tuple[str, ...]
    names: frozenset[str]  # values of tokenizer.ggml.pre
    add_bos: bool = False  # when the file does not say
    # A word that is a token stays whole, also where merging would not have built it.
    keep_whole_words: bool = False


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LLAMA3_NAMES = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2"
_GPT2_NAMES = (
    "gpt-2 phi-2 mpt olmo jais trillion granite-docling jina-es jina-de jina-v2-es jina-v2-de "
    "gigachat a.x-4.0 mellum roberta-bpe"
)
_STARCODER_NAMES = "starcoder refact command-r smollm codeshell exaone minerva-7b"
FAMILIES: Final = (
    Family((_LLAMA3,), _names(_LLAMA3_NAMES), add_bos=True, keep_whole_words=True),
    Family((_LLAMA3,), _names("dbrx smaug-bpe chatglm-bpe glm4")),
    Family((_QWEN2,), _names("qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez")),
    Family((_GPT2,), _names(_GPT2_NAMES)),
    Family((_STARCODER,), _names(_STARCODER_NAMES)),
    Family(_DEFAULT, _names("default")),
)
_BY_NAME: Final = {name: family for family in FAMILIES for name in family.names}

_LAST_ASCII = 0x7F
_LAST_16_BIT = 0xFFFF
_LAST = 0x10FFFF
_BEYOND_16_BIT = re.compile("[\U00010000-\U0010ffff]")
# Between two letters, a space always begins a word, in every family: text may be cut before it.
_SAFE_CUT = re.compile("(?<=[A-Za-z]) (?=[A-Za-z])")
CHUNK_CHARS: Final = 1 << 18  # words of one chunk are in memory at once, about 60 bytes each


class PreTokenizer:
    """Cuts text into words; the words of a text joined are the text."""

    def __init__(self, family: Family) -> None:
        self.family = family

    def words(self, text: str) -> list[str]:
        passes = _compiled(self.family.passes, _last_code_point(text))
        words = passes[0](text)
        for find in passes[1:]:
            words = [word for piece in words for word in find(piece)]
        return words


def chunks(text: str) -> list[str]:
    """Pieces of about 256 Ki characters whose words, joined, are the words of `text`."""
    if len(text) <= CHUNK_CHARS:
        return [text]
    pieces = []
    start = 0
    while cut := _SAFE_CUT.search(text, start + CHUNK_CHARS):
        pieces.append(text[start : cut.start()])
        start = cut.start()
    return [*pieces, text[start:]]


def pre_tokenizer(name: str | None) -> PreTokenizer:
    """The pre-tokenizer a file names; warns with UnknownPreTokenizerWarning when it is a guess."""
    family = _BY_NAME.get(name or "default")
    if name is None:
        warnings.warn(
            "the model file names no pre-tokenizer (tokenizer.ggml.pre); assuming 'default'. "
            "Words may be cut differently than in training and answers may be worse; "
            "convert the model again with a current converter",
            UnknownPreTokenizerWarning,
            stacklevel=2,
        )
    if family is None:
        warnings.warn(
            f"pre-tokenizer {printable(name)} is not known to pyllm; using llama-bpe's rules. "
            "Words may be cut differently than in training and answers may be worse",
            UnknownPreTokenizerWarning,
            stacklevel=2,
        )
        family = _BY_NAME["llama-bpe"]
    return PreTokenizer(family)


def _last_code_point(text: str) -> int:
    # A class of `re` tests code points beyond 16 bit one range after the other (about 300 for
    # letters), the others by table: text without such characters gets a class without them.
    if text.isascii():
        return _LAST_ASCII
    return _LAST if _BEYOND_16_BIT.search(text) else _LAST_16_BIT


@cache
def _compiled(passes: tuple[str, ...], last: int) -> tuple[Callable[[str], list[str]], ...]:
    classes = {
        "L": _class(LETTERS, last),
        "N": _class(NUMBERS, last),
        "P": _class(PUNCTUATION, last),
        "S": _class(WHITESPACE, last),
    }
    return tuple(re.compile(pattern.format(**classes)).findall for pattern in passes)


def _class(ranges: Ranges, last: int) -> str:
    """The inside of a character class with the ranges' code points up to `last`."""
    parts = []
    for first, end in ranges:
        if first <= last:
            parts.append(f"{re.escape(chr(first))}-{re.escape(chr(min(end, last)))}")
    return "".join(parts)
