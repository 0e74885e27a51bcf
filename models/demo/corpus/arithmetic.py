"""Sums a small model can really do: + and - to 999, × to 12 × 12, division that comes out even."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Check, Exchange
from .draw import Draw, is_reserved
from .words import NUMBER_WORDS, THINGS

_ASK = (
    "{What is|What's|What is|How much is|Calculate|Compute|Work out|Solve|Tell me|Can you calculate"
    "|Can you tell me what is|Please compute|I need|Answer this:|Quick:|Do you know|Could you work out} <sum>{?|?|.|} "
)
_PLAIN = "{<sum>|<sum>=|<sum> =|<sum> = ?|<sum>?}"
_SIGNS = {
    "+": "{+|+|+| + |plus|added to|and}",
    "-": "{-|-|-| - |minus|minus|take away|less}",
    "×": "{*|x|×|times|multiplied by|times}",
    "/": "{/|÷|divided by|over}",
}


def arithmetic(d: Draw) -> Exchange:
    if d.chance(0.06):
        return d.pick((_uneven, _claim))(d)
    a, sign, b, result = _problem(d)
    return _asked(d, a, sign, b, result)


def word_problem(d: Draw) -> Exchange:
    return d.pick((_gain, _loss, _mine, _mine, _groups, _share, _cost, _together))(d)


def three_terms(d: Draw) -> Exchange:
    """a + b + c in two worked steps."""
    a, b = d.pair(1, 50)
    c = d.between(1, 30)
    first, result = a + b, a + b + c
    question = d.asked(_ASK.rstrip() if d.chance(0.7) else _PLAIN, sum=f"{a} + {b} + {c}")
    answer = f"{a} + {b} = {first}, and {first} + {c} = {result}."
    return _exact(question, answer, str(result))


def _problem(d: Draw) -> tuple[int, str, int, int]:
    kind = d.random()
    if kind < 0.06:
        a, b = d.between(0, 10), d.between(0, 10)
        return a, "+", b, a + b
    if kind < 0.42:
        a, b = _carrying(d) if d.chance(0.1) else d.pair(0, d.pick((20, 99, 99, 999, 999, 999)))
        return a, "+", b, a + b
    if kind < 0.76:
        a, b = d.pair(0, d.pick((20, 99, 99, 999, 999, 999)))
        if a < b and not is_wrong_side(d, b, a) and d.chance(0.8):
            a, b = b, a
        return a, "-", b, a - b
    if kind < 0.93:
        a, b = d.between(0, 12), d.between(0, 12)
        return a, "×", b, a * b
    b, result = d.between(1, 12), d.between(1, 12)
    return b * result, "/", b, result


def _carrying(d: Draw) -> tuple[int, int]:
    """Two numbers whose sum ends in zeros, or just before them."""
    while True:
        b = d.between(1, 999)
        a = d.pick((10, 100)) * d.between(1, 100) - b - d.pick((0, 0, 1))
        if 0 <= a <= 999 and not is_wrong_side(d, a, b):
            return a, b


def is_wrong_side(d: Draw, a: int, b: int) -> bool:
    """Whether the swapped pair belongs to the other split."""
    return max(a, b) > 20 and is_reserved(a, b) != d.held_out


def _asked(d: Draw, a: int, sign: str, b: int, result: int) -> Exchange:
    spelled = d.text(_SIGNS[sign])
    if sign in "+×" and max(a, b) <= 20 and d.chance(0.2):
        written = f"{NUMBER_WORDS[a]} {d.pick(('plus',) if sign == '+' else ('times',))} {NUMBER_WORDS[b]}"
    elif spelled.isalpha() or " " in spelled.strip():
        written = f"{a} {spelled} {b}"
    else:
        gap = "" if d.chance(0.25) else " "
        written = f"{a}{gap}{spelled.strip()}{gap}{b}"
    if spelled == "and" and "and" in written:
        question = d.asked(
            "{What is the sum of|Add|Add up|Give me the sum of|Sum up} <sum>{?|.|}", sum=written
        )
    elif sign == "-" and d.chance(0.08):
        question = d.asked(
            "{Subtract <b> from <a>|Take <b> away from <a>|What is the difference between <a> and <b>}{.|?|}",
            a=a, b=b,
        )  # fmt: skip
    else:
        question = d.asked((_ASK if d.chance(0.72) else _PLAIN).strip(), sum=written)
    return _exact(question, f"{a} {sign} {b} = {result}.", str(result))


def _exact(question: str, answer: str, short: str | None) -> Exchange:
    return Exchange(question, answer, Check("exact", (answer,)), short)


def _gain(d: Draw) -> Exchange:
    a, b = d.pair(1, d.pick((10, 20, 60)))
    name, thing = d.name(), d.pick(THINGS)
    more = d.pick(("gets", "buys", "finds", "receives", "is given"))
    question = d.asked(
        "<name> has <a> <thing> {and|. Then <name>} <more> <b> more{.|.| <thing>.} How many <thing> does <name> have"
        "{ now| in total| altogether|}?",
        name=name, a=a, b=b, thing=thing, more=more,
    ).replace(" .", ".")  # fmt: skip
    return _exact(question, f"{a} + {b} = {a + b}, so {name} has {a + b} {thing}.", str(a + b))


def _mine(d: Draw) -> Exchange:
    """The user's own things, numbers in digits or words."""
    b, left = d.pair(1, d.pick((5, 10, 20, 60)))
    thing = d.pick(THINGS)
    gains = d.chance(0.5)
    a = left if gains else b + left
    spelled = NUMBER_WORDS[b] if b <= 20 and d.chance(0.4) else str(b)
    verb = d.pick(
        ("buy", "get", "find", "pick")
        if gains
        else ("eat", "lose", "give away", "sell", "use", "drop")
    )
    question = d.asked(
        "{I have|If I have|I had|Suppose I have|You have|If you have} <a> <thing>{ and|, and|. Then I|,} {<verb>|<verb>} <b>{<more>|<more>}{.|,} "
        "{How|how} many {<thing> |}{do I have{ now| left|}|do you have{ now| left|}|are left|remain|are there{ now| left|}}?",
        a=a, b=spelled, thing=thing, verb=verb, more=" more" if gains else d.pick(("", " of them")),
    )  # fmt: skip
    if gains:
        return _exact(question, f"{a} + {b} = {a + b}, so there are {a + b} {thing}.", str(a + b))
    return _exact(question, f"{a} - {b} = {left}, so {left} {thing} are left.", str(left))


def _uneven(d: Draw) -> Exchange:
    while True:
        a, b = d.between(1, 150), d.between(2, 12)
        if a % b:
            return _exact(
                d.asked(_ASK.strip(), sum=f"{a} {d.pick(('/', '÷', 'divided by'))} {b}"),
                f"{a} / {b} does not come out even.",
                None,
            )


def _claim(d: Draw) -> Exchange:
    """Is 2 + 2 = 5?"""
    a, b = d.pair(0, d.pick((10, 20, 99)))
    sign, result = ("×", a * b) if max(a, b) <= 12 and d.chance(0.3) else ("+", a + b)
    said = result if d.chance(0.5) else max(0, result + d.pick((-2, -1, 1, 2, 10)))
    question = d.asked("{Is <a> <s> <b> = <c>?|<a> <s> <b> = <c>?|Is <a> <s> <b> <c>?|<a><s><b>=<c>?|Is it true that <a> <s> <b> = <c>?|Does <a> <s> <b> equal <c>?}", a=a, s=d.pick(("×", "*")) if sign == "×" else "+",
                       b=b, c=said)  # fmt: skip
    return _exact(
        question,
        f"{'Yes' if said == result else 'No'}, {a} {sign} {b} = {result}.",
        "yes" if said == result else "no",
    )


def _loss(d: Draw) -> Exchange:
    b, left = d.pair(1, d.pick((10, 20, 60)))
    a = b + left
    name, thing = d.name(), d.pick(THINGS)
    verb = d.pick(("loses", "gives away", "sells", "uses", "drops"))
    question = d.asked(
        "<name> has <a> <thing> and <verb> <b>{| of them}. How many {<thing> |}{are left|does <name> have left|remain}?",
        name=name, a=a, b=b, thing=thing, verb=verb,
    )  # fmt: skip
    return _exact(question, f"{a} - {b} = {left}, so {left} {thing} are left.", str(left))


def _groups(d: Draw) -> Exchange:
    a, b = d.between(2, 12), d.between(2, 12)
    thing, box = d.pick(THINGS), d.pick(("boxes", "bags", "baskets", "rows", "packs"))
    question = d.asked(
        "{There are|I have|<name> has} <a> <box> {with|of} <b> <thing> {each|in each}. How many <thing> "
        "{are there|is that}{ in total| altogether|}?",
        name=d.name(), a=a, b=b, thing=thing, box=box,
    )  # fmt: skip
    return _exact(question, f"{a} × {b} = {a * b}, so there are {a * b} {thing}.", str(a * b))


def _share(d: Draw) -> Exchange:
    b, each = d.between(2, 12), d.between(2, 12)
    thing = d.pick(THINGS)
    question = d.asked(
        "{<a> <thing> are shared {equally |}by <b> {children|friends|people}|<b> {children|friends|people} share <a> "
        "<thing>{ equally|}}. How many {<thing> |}does each {one |person |}get?",
        a=b * each, b=b, thing=thing,
    )  # fmt: skip
    return _exact(question, f"{b * each} / {b} = {each}, so each gets {each} {thing}.", str(each))


def _cost(d: Draw) -> Exchange:
    a, b = d.between(2, 12), d.between(2, 12)
    thing = d.pick(THINGS)
    question = d.asked(
        "One {ticket|book|cake|toy} costs <b> {dollars|euros}. {How much do|What do} <a> of them cost?",
        a=a, b=b, thing=thing,
    )  # fmt: skip
    money = "dollars" if "dollar" in question.lower() else "euros"
    return _exact(question, f"{a} × {b} = {a * b}, so they cost {a * b} {money}.", str(a * b))


def _together(d: Draw) -> Exchange:
    a, b = d.pair(1, d.pick((10, 30, 99)))
    one, two = d.names(2)
    thing = d.pick(THINGS)
    question = d.asked(
        "<one> has <a> <thing> and <two> has <b>{| <thing>}. How many <thing> do they have {together|in total|altogether"
        "|in all}?",
        one=one, two=two, a=a, b=b, thing=thing,
    )  # fmt: skip
    return _exact(question, f"{a} + {b} = {a + b}, so they have {a + b} {thing}.", str(a + b))
