"""Questions about the tables of facts: capitals, opposites, days, letters, plurals …"""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Check, Exchange
from .draw import Draw
from .fact_tables import (
    AMOUNTS,
    CAPITALS,
    COLOURS,
    KINDS,
    LEGS,
    LISTS,
    OPPOSITES,
    PASTS,
    PLURALS,
    SINGLE,
    SOUNDS,
)
from .words import DAYS, MONTHS


def facts(d: Draw) -> Exchange:
    tasks = (
        _capital, _capital, _capital, _capital, _country, _opposite, _opposite, _colour, _sound, _legs, _plural, _past,
        _kind, _amount, _list, _list, _single, _single, _single, _day, _month, _alphabet,
    )  # fmt: skip
    return d.pick(tasks)(d)


def _one(question: str, answer: str, short: str | None = None) -> Exchange:
    return Exchange(question, answer, Check("exact", (answer,)), short)


def _entry(d: Draw, table: list[str]) -> tuple[str, str]:
    key, _, value = d.pick(table).partition(":")
    return key, value.replace("_", " ")


def _capital(d: Draw) -> Exchange:
    country = d.pick(list(CAPITALS))
    question = d.asked(
        "{What is|What's|Tell me|Name|Give me|Do you know} the capital {city |}of <country>{?|?|}|{Which|What} city is the "
        "capital of <country>?|<country>'s capital?|Capital of <country>{?|}" if d.chance(0.1) else
        "{{What is|What's|Tell me|Name|Give me|Do you know} the capital {city |}of <country>{?|?|}|{Which|What} city is the "
        "capital of <country>?|Capital of <country>{?|}|<country> capital|What is <country>'s capital?}",
        country=country,
    )  # fmt: skip
    if d.chance(0.1):
        question = question.lower()
    capital = CAPITALS[country]
    stop = "" if capital.endswith(".") else "."
    return _one(question, f"The capital of {country} is {capital}{stop}", capital)


def _country(d: Draw) -> Exchange:
    country = d.pick([c for c in CAPITALS if c not in ("the USA", "America", "England")])
    city = CAPITALS[country]
    question = d.asked(
        "{{What|Which} country is <city> {in|the capital of}?|Where is <city>?|In {which|what} country is <city>?|Where does "
        "<city> lie?}", city=city,
    )  # fmt: skip
    return _one(question, f"{city} is the capital of {country}.", country.removeprefix("the "))


def _opposite(d: Draw) -> Exchange:
    one, two = _entry(d, OPPOSITES)
    if d.chance(0.5) and one not in ("light", "right") and two not in ("light", "right"):
        one, two = two, one
    question = d.asked(
        "{What is|What's|Tell me|Give me|Name} the opposite of <q><one><q>{?|?|.|}",
        one=one,
        q=d.pick(("", "", '"', "'")),
    )
    if one == "light":
        two = "dark"
    if one == "right":
        two = "left"
    return _one(question, f"The opposite of {one} is {two}.", two)


def _colour(d: Draw) -> Exchange:
    thing, colour = _entry(d, COLOURS)
    thing = f"the {thing}" if thing in ("sky", "sun", "sea", "night") else thing
    if thing in ("lemon", "banana", "tomato", "carrot", "leaf", "rose"):
        thing = f"a {thing}"
    question = d.asked("{What|Which} {colour|color} {is|has} <thing>?", thing=thing)
    return _one(question, f"{thing[0].upper()}{thing[1:]} is {colour}.", colour)


def _sound(d: Draw) -> Exchange:
    animal, sound = _entry(d, SOUNDS)
    article = "an" if animal == "owl" else "a"
    question = d.asked(
        "{What {sound|noise} does {a|the} <animal> make?|What does {a|the} <animal> say?|How does {a|the} <animal> {sound|"
        "go}?}", animal=animal,
    ).replace(" a owl", " an owl")  # fmt: skip
    return _one(question, f"{article.capitalize()} {animal} says {sound}.", sound)


def _legs(d: Draw) -> Exchange:
    animal, count = _entry(d, LEGS)
    article = "an" if animal[0] in "aeiou" else "a"
    question = d.asked(
        "How many legs {does <a> <animal> have|has <a> <animal>}?", a=article, animal=animal
    )
    return _one(question, f"{article.capitalize()} {animal} has {count} legs.", count)


def _plural(d: Draw) -> Exchange:
    one, many = _entry(d, PLURALS)
    question = d.asked(
        "{What is|What's|Tell me|Give me} the plural of <q><one><q>{?|}",
        one=one,
        q=d.pick(("", "", '"')),
    )
    return _one(question, f"The plural of {one} is {many}.", many)


def _past(d: Draw) -> Exchange:
    now, past = _entry(d, PASTS)
    question = d.asked(
        "{What is|What's|Tell me|Give me} the past {tense |}of <q><now><q>{?|}",
        now=now,
        q=d.pick(("", "", '"')),
    )
    return _one(question, f"The past of {now} is {past}.", past)


def _kind(d: Draw) -> Exchange:
    thing, kind = _entry(d, KINDS)
    article = "an" if kind[0] in "aeiou" else "a"
    if kind == "colour" or kind == "metal":
        question = d.asked("{What is <thing>?|What kind of thing is <thing>?}", thing=thing)
        return _one(question, f"{thing.capitalize()} is {article} {kind}.", kind)
    own = "an" if thing[0] in "aeiou" else "a"
    question = d.asked(
        "{What is <own> <thing>?|What kind of thing is <own> <thing>?}", own=own, thing=thing
    )
    if thing in ("dog", "cat"):
        question = d.asked("What kind of thing is <own> <thing>?", own=own, thing=thing)
    return _one(question, f"{own.capitalize()} {thing} is {article} {kind}.", kind)


def _amount(d: Draw) -> Exchange:
    asked = d.pick(list(AMOUNTS))
    question = d.asked(
        "How many {<asked>|<asked>}?",
        asked=asked.replace(" are in ", d.pick((" are in ", " are there in "))),
    )
    short = next(part for part in AMOUNTS[asked].split() if part.isdigit())
    return _one(question, AMOUNTS[asked], short)


def _list(d: Draw) -> Exchange:
    asked, answer = d.pick(LISTS)
    question = d.asked(
        "{{What are|Name|List|Tell me|Say|Give me|Write|Can you name|Please list|Recite|Do you know} <asked>{?|.|}}",
        asked=d.pick(asked.split("|")),
    )
    return _one(question, answer)


def _single(d: Draw) -> Exchange:
    question, answer = d.pick(SINGLE)
    return d.exchange("{" + question + "}", answer)


def _day(d: Draw) -> Exchange:
    return _in_cycle(d, DAYS, "day")


def _month(d: Draw) -> Exchange:
    if d.chance(0.3):
        at = d.between(0, 11)
        ordinal = [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
        ][at]
        question = d.asked(
            "{What is|Which is|Name} the <nth> month{| of the year}{?|}", nth=ordinal
        )
        return _one(question, f"The {ordinal} month is {MONTHS[at]}.", MONTHS[at])
    return _in_cycle(d, MONTHS, "month")


def _in_cycle(d: Draw, cycle: list[str], kind: str) -> Exchange:
    at = d.between(0, len(cycle) - 1)
    behind = d.chance(0.6)
    word = "after" if behind else "before"
    other = cycle[(at + (1 if behind else -1)) % len(cycle)]
    one = cycle[at].lower() if d.chance(0.25) else cycle[at]
    question = d.asked(
        "{What|Which} {<kind> |}{comes|is} <word> <one>?", kind=kind, word=word, one=one
    )
    return _one(question, f"{other} comes {word} {cycle[at]}.", other)


def _alphabet(d: Draw) -> Exchange:
    letters = "abcdefghijklmnopqrstuvwxyz"
    at = d.between(1, 24)
    behind = d.chance(0.6)
    word = "after" if behind else "before"
    one = letters[at].upper() if d.chance(0.5) else letters[at]
    other = letters[at + (1 if behind else -1)]
    other = other.upper() if one.isupper() else other
    question = d.text(
        "{What|Which} {letter |}comes <word> {the letter |}<one>{| in the alphabet}?",
        word=word,
        one=one,
    )
    return _one(question, f"{other} comes {word} {one}.", other)
