"""Short lists of words: sorting, reversing, counting, first and last; and letters of one word."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Check, Exchange
from .draw import Draw
from .words import NAMES, PLAIN_WORDS


def lists(d: Draw) -> Exchange:
    return d.pick((_sort, _sort, _reverse, _reverse, _count, _place, _longest, _contains))(d)


def letters(d: Draw) -> Exchange:
    return d.pick((_spell, _spell, _count_letters, _edge, _backwards, _of_letter))(d)


def _one(question: str, answer: str, short: str | None = None) -> Exchange:
    return Exchange(question, answer, Check("exact", (answer,)), short)


def _words(d: Draw, low: int = 3, high: int = 6) -> list[str]:
    count = d.between(low, high)
    if d.chance(0.1):
        return d.names(count)
    return d.sample(PLAIN_WORDS, count)


def _shown(d: Draw, words: list[str]) -> str:
    style = d.random()
    if style < 0.65:
        return ", ".join(words)
    if style < 0.85:
        return " ".join(words)
    return ", ".join(words[:-1]) + f" and {words[-1]}"


def _sort(d: Draw) -> Exchange:
    words = _known(d)
    question = d.asked(
        "{Sort|Order|Put|Arrange|Can you sort|Please sort} {these words |the words |} {alphabetically|in alphabetical "
        "order|from A to Z|by the alphabet|by letter}{:|: |} <list>{.|}",
        list=_shown(d, words),
    ).replace("  ", " ")  # fmt: skip
    if d.chance(0.15):
        question = d.asked(
            "{Sort|Sort|Order|Alphabetical order|Please sort}{:|: } <list>", list=_shown(d, words)
        ).replace("  ", " ")
    return _one(question, ", ".join(sorted(words)))


def _known(d: Draw) -> list[str]:
    """Words whose letters are known: an invented one would have to be spelled first."""
    pool = NAMES if d.chance(0.1) else PLAIN_WORDS
    return d.sample(pool, d.between(3, 5))


def _reverse(d: Draw) -> Exchange:
    words = _words(d)
    question = d.asked(
        "{Reverse|Turn around|Please reverse|Can you reverse} {the order of |}{these words|this list|the list|the words}"
        "{:|: } <list>{.|}" if d.chance(0.8) else "{Write|Say|Repeat} {these words|this list} {backwards|in reverse|in "
        "reverse order}: <list>",
        list=_shown(d, words),
    ).replace("  ", " ")  # fmt: skip
    return _one(question, ", ".join(reversed(words)))


def _count(d: Draw) -> Exchange:
    words = _words(d, 2, 9)
    question = d.asked(
        "{How many {words|items|things} are {in this list|there|here|these}{:|?} <list>{?|}|Count {these words|the "
        "words|the items}{:|: |} <list>{.|}}",
        list=", ".join(words) if d.chance(0.7) else " ".join(words),
    ).replace("  ", " ")  # fmt: skip
    return _one(question, f"There are {len(words)} words.", str(len(words)))


def _place(d: Draw) -> Exchange:
    words = _words(d)
    ordinals = ["first", "second", "third", "fourth", "fifth", "sixth"][: len(words)]
    at = d.between(0, len(words) - 1)
    word = ordinals[at]
    if at == len(words) - 1 or d.chance(0.25):
        at, word = len(words) - 1, "last"
    question = d.asked(
        "{What is|Which is|Give me|Tell me} the <word> {word|item|one} {of|in} {this list|the list|these|}{:|: |} <list>"
        "{?|.|}",
        word=word, list=_shown(d, words),
    ).replace("  ", " ")  # fmt: skip
    return _one(question, f"The {word} word is {words[at]}.", words[at])


def _longest(d: Draw) -> Exchange:
    while True:
        words = _known(d)
        longest = d.chance(0.6)
        sizes = sorted(map(len, words), reverse=longest)
        if sizes[0] != sizes[1]:
            break
    word = max(words, key=len) if longest else min(words, key=len)
    kind = "longest" if longest else "shortest"
    question = d.asked(
        "{What is|Which is|Find|Tell me} the <kind> {word|one}{ of| in|:|} <list>{?|}",
        kind=kind,
        list=_shown(d, words),
    )
    return _one(question, f"The {kind} word is {word}.", word)


def _contains(d: Draw) -> Exchange:
    words = _words(d)
    inside = d.chance(0.5)
    word = d.pick(words) if inside else d.pick(PLAIN_WORDS)
    question = d.asked(
        "{Is|Is the word} <word> {in|part of} {this|the} list{:|: |?} <list>{?|}",
        word=word,
        list=", ".join(words),
    )
    found = word in words
    answer = f"Yes, {word} is in the list." if found else f"No, {word} is not in the list."
    return _one(question, answer, "yes" if found else "no")


def _quoted(d: Draw, word: str) -> str:
    return d.pick((word, word, f'"{word}"', f"'{word}'"))


def _any_word(d: Draw) -> str:
    """A word to spell; one in four is invented, so that pieces and not words are learned."""
    while d.chance(0.25):
        word = d.invented()
        if len(word) < 9:
            return word
    return d.pick(PLAIN_WORDS)


def _spell(d: Draw) -> Exchange:
    word = _any_word(d)
    question = d.asked(
        "{{Spell|Can you spell|Please spell|Spell out}{ the word|} <word>{.|?|}|How do {you|I} spell {the word |}<word>?|How is "
        "<word> spelled?}", word=_quoted(d, word),
    )  # fmt: skip
    return _one(question, "-".join(word))


def _count_letters(d: Draw) -> Exchange:
    word = _any_word(d)
    question = d.asked(
        "{How many letters {are {in|there in} {the word |}<word>|does {the word |}<word> have|has <word>}?|Count the "
        "letters {in|of} <word>{.|}|What is the length of the word <word>?|How long is the word <word>?}",
        word=_quoted(d, word),
    )  # fmt: skip
    return _one(question, f"{'-'.join(word)}: {word} has {len(word)} letters.")


def _edge(d: Draw) -> Exchange:
    word = _any_word(d)
    first = d.chance(0.5)
    kind, letter = ("first", word[0]) if first else ("last", word[-1])
    question = d.asked(
        "{What is|Which is|Tell me} the <kind> letter {of|in} {the word |}<word>{?|.|}"
        if d.chance(0.7) else "{Which|What} letter does {the word |}<word> <verb> with?",
        kind=kind, word=_quoted(d, word), verb="start" if first else "end",
    )  # fmt: skip
    return _one(question, f"The {kind} letter of {word} is {letter}.", letter)


def _backwards(d: Draw) -> Exchange:
    word = _any_word(d)
    question = d.asked(
        "{Write|Spell|Say} {the word |}<word> {backwards|in reverse|from back to front}{.|}|Reverse the {word|letters "
        "of} <word>{.|}" if d.chance(0) else "{{Write|Spell|Say} {the word |}<word> {backwards|in reverse|from back to "
        "front}|Reverse the {word|letters of} <word>|What is <word> {backwards|spelled backwards}}{.|?|}",
        word=_quoted(d, word),
    )  # fmt: skip
    back = word[::-1]
    return _one(question, f"{'-'.join(word)} backwards is {'-'.join(back)}.")


def _of_letter(d: Draw) -> Exchange:
    word = _any_word(d)
    letter = d.pick(word) if d.chance(0.75) else d.pick("abcdefghilmnoprstu")
    count = word.count(letter)
    question = d.asked(
        "How many {times does {the letter |}<letter> {appear|occur} in|<letter>s are {in|there in}|<letter>'s are in} "
        "{the word |}<word>?",
        letter=letter, word=_quoted(d, word),
    )  # fmt: skip
    times = "once" if count == 1 else f"{count} times"
    return _one(question, f"{'-'.join(word)}: the letter {letter} appears {times}.")
