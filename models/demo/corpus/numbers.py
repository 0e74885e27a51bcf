"""Comparing, ordering and counting with numbers."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Check, Exchange
from .draw import Draw
from .words import NUMBER_WORDS


def numbers(d: Draw) -> Exchange:
    tasks = (_compare, _compare, _sort, _sort, _extreme, _parity, _next, _count_to, _in_words)
    return d.pick(tasks)(d)


def _one(question: str, answer: str, short: str | None = None) -> Exchange:
    return Exchange(question, answer, Check("exact", (answer,)), short)


def _compare(d: Draw) -> Exchange:
    a, b = d.pair(0, d.pick((20, 99, 999)))
    while a == b:
        a, b = d.pair(0, 99)
    larger = d.chance(0.5)
    word = d.pick(
        ("larger", "bigger", "greater", "higher") if larger else ("smaller", "less", "lower")
    )
    result = max(a, b) if larger else min(a, b)
    question = d.asked(
        "{Which {number |one |}is <word>{, |: | - }<a> or <b>?|Is <a> or <b> <word>?|What is <word>, <a> or <b>?|"
        "<a> or <b>, which is <word>?|Which of <a> and <b> is <word>?}",
        a=a, b=b, word=word,
    )  # fmt: skip
    if d.chance(0.3):
        is_so = a > b if larger else a < b
        question = d.asked("Is <a> <word> than <b>?", a=a, b=b, word=word)
        reply = f"Yes, {a} is {word} than {b}." if is_so else f"No, {a} is not {word} than {b}."
        return _one(question, reply, "yes" if is_so else "no")
    return _one(question, f"{result} is {word}.", str(result))


def _list(d: Draw, values: list[int]) -> str:
    style = d.random()
    if style < 0.65:
        return ", ".join(map(str, values))
    if style < 0.8:
        return " ".join(map(str, values))
    return ", ".join(map(str, values[:-1])) + f" and {values[-1]}"


def _distinct(d: Draw, count: int) -> list[int]:
    high = d.pick((9, 20, 99, 99, 999))
    return d.sample(range(high + 1), min(count, high))


def _sort(d: Draw) -> Exchange:
    values = _distinct(d, d.between(3, 7))
    down = d.chance(0.3)
    order = "{from largest to smallest|in descending order|from high to low|from biggest to smallest}" if down else (
        "{from smallest to largest|in ascending order|in order|from low to high|by size|from small to large|}"
    )  # fmt: skip
    question = d.asked(
        "{Sort|Order|Put|Arrange|Can you sort|Please sort} {these numbers |the numbers |}" + order + "{:|: |} <list>{.|}",
        list=_list(d, values),
    ).replace("  ", " ")  # fmt: skip
    return _one(question, ", ".join(map(str, sorted(values, reverse=down))))


def _extreme(d: Draw) -> Exchange:
    values = _distinct(d, d.between(3, 7))
    largest = d.chance(0.5)
    word = d.pick(
        ("largest", "biggest", "highest", "greatest") if largest else ("smallest", "lowest")
    )
    result = max(values) if largest else min(values)
    question = d.asked(
        "{What is the <word> {number |}{of|in|among}|Which is the <word>{ number|}{ of|:}|Find the <word> {number |}"
        "{in|of}|Give me the <word> of}{ these:|} <list>{?|.|}",
        word=word, list=_list(d, values),
    )  # fmt: skip
    return _one(question, f"The {word} is {result}.", str(result))


def _parity(d: Draw) -> Exchange:
    a = d.between(0, d.pick((20, 99, 999)))
    kind = "even" if a % 2 == 0 else "odd"
    question = d.asked(
        "{Is <a> {even or odd|odd or even|an even number or an odd number}?|<a>: even or odd?|Even or odd: <a>?}",
        a=a,
    )
    if d.chance(0.4):
        asked = d.pick(("even", "odd"))
        question = d.asked("Is <a> {<kind>|an <kind> number}?", a=a, kind=asked)
        return _one(question, f"{'Yes' if asked == kind else 'No'}, {a} is {kind}.", kind)
    return _one(question, f"{a} is {kind}.", kind)


def _next(d: Draw) -> Exchange:
    a = d.between(0, d.pick((20, 99, 999)))
    behind = d.chance(0.6)
    word = d.pick(("after", "behind") if behind else ("before",))
    result = a + 1 if behind else a - 1
    question = d.asked(
        "{What {number |}comes {right |just |}<word> <a>?|Which number is <word> <a>?|What is the {next number "
        "after|number after} <a>?}" if behind else "{What {number |}comes {right |just |}<word> <a>?|Which number is "
        "<word> <a>?}",
        a=a, word="after" if behind else word,
    )  # fmt: skip
    return _one(question, f"{result} comes {'after' if behind else 'before'} {a}.", str(result))


def _count_to(d: Draw) -> Exchange:
    first = 1 if d.chance(0.6) else d.between(1, 20)
    last = first + d.between(2, 14)
    step = 1
    pattern = (
        "{Count to <last>|Can you count to <last>|Count up to <last>|Count for me to <last>}{.|?|}"
    )
    if first > 1:
        pattern = "{Count from <first> to <last>|Count up from <first> to <last>|List the numbers from <first> to <last>}."
    if first > 1 and d.chance(0.35):
        pattern = "{Count {down|backwards}|Count back} from <last> to <first>{.|}"
        step = -1
    question = d.asked(pattern, first=first, last=last)
    values = list(range(first, last + 1))[::step]
    return _one(question, ", ".join(map(str, values)) + ".")


def _in_words(d: Draw) -> Exchange:
    a = d.between(0, 20)
    if d.chance(0.5):
        question = d.asked(
            "{Write <a> {in words|as a word|in letters}|How do you {write|spell} <a> in words|What is <a> in words}{.|?|}",
            a=a,
        )
        return _one(question, f"{a} is written {NUMBER_WORDS[a]}.", NUMBER_WORDS[a])
    question = d.asked(
        "{Write <a> {in digits|as a number|as digits}|What number is <a>|What is <a> in digits}{.|?|}",
        a=NUMBER_WORDS[a],
    )
    return _one(question, f"{NUMBER_WORDS[a].capitalize()} is {a}.", str(a))
