"""Saying what one is told to say: repeating, greeting others, completing, filling small forms."""
# ruff: noqa: E501, SIM905  a word list without quotes, a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Check, Exchange
from .draw import Draw
from .words import ANIMALS, CITIES, COLOURS, FOODS, PLAIN_WORDS


def echo(d: Draw) -> Exchange:
    return d.pick((_repeat, _repeat, _times, _greet, _choose, _yes_no, _capital_letters, _replace))(
        d
    )


def _one(question: str, answer: str) -> Exchange:
    return Exchange(question, answer, Check("exact", (answer,)))


def _sentence(d: Draw) -> str:
    return d.text(
        "{The <c> <a> <v> {in|near|behind} the <w>|I like <f> and <f2>|My friend <n> lives in <t>|{We|They} went to <t> with the <a>"
        "|<n> <v> every day|<w> and <w2>|<i>|<i> <w>|hello <n>|{yes|no}, I {can|will} do it|the <w> is <c>|<c> <w>}",
        c=d.pick(COLOURS), a=d.pick(ANIMALS), v=d.pick(("sleeps", "runs", "sings", "waits", "plays", "sits")), w=d.pick(PLAIN_WORDS),
        w2=d.pick(PLAIN_WORDS), f=d.pick(FOODS), f2=d.pick(FOODS), n=d.name(), t=d.city(), i=d.invented(),
    )  # fmt: skip


_SMALL = """I you we they he she it the a an my your is are was am love like want see have and or but not very to in on at with for of this that
good bad big small new old hello goodbye pyllm model today always never can will do make go come give take think know work play read write""".split()


def _salad(d: Draw) -> str:
    """Words in any order, which only copying can repeat."""
    words = [
        d.pick(_SMALL)
        if d.chance(0.5)
        else d.pick(
            (d.pick(PLAIN_WORDS), d.invented(), d.name(), d.pick(FOODS), str(d.between(0, 999)))
        )
        for _ in range(d.between(1, 8))
    ]
    text = " ".join(words)
    return text[0].upper() + text[1:] if d.chance(0.4) else text


def _repeat(d: Draw) -> Exchange:
    text = _salad(d) if d.chance(0.5) else _sentence(d)
    if d.chance(0.4):
        text += "."
    quote = d.pick(("", "", '"'))
    question = d.text(
        "{Repeat {after me|this|the following|this sentence}|Say|Please say|Say this|Echo|Please repeat|Repeat|Write|Copy|Say exactly}: "
        "<q><text><q>", q=quote, text=text,
    )  # fmt: skip
    return _one(question, text)


def _times(d: Draw) -> Exchange:
    word = d.pick(PLAIN_WORDS) if d.chance(0.6) else d.invented()
    count = d.between(2, 6)
    spelled = d.pick((str(count), ["zero", "one", "two", "three", "four", "five", "six"][count]))
    question = d.asked(
        "{Say|Write|Repeat} {the word |}<q><word><q> <n> times{.|}",
        word=word,
        n=spelled,
        q=d.pick(("", '"', "'")),
    )
    return _one(question, " ".join([word] * count))


def _greet(d: Draw) -> Exchange:
    name = d.name()
    question = d.asked(
        "{Say {hello|hi} to|Greet|Please greet|Say hello to my friend|Please say hello to|Can you say hello to} <name>{.|!|?|}",
        name=name,
    )
    return _one(question, f"Hello, {name}!")


def _choose(d: Draw) -> Exchange:
    one, two = d.sample(PLAIN_WORDS, 2)
    question = d.asked("{Choose|Pick|Choose one|Pick one}: <one> or <two>{?|}", one=one, two=two)
    return Exchange(question, f"{one}", Check("exact", (one, two)))


def _yes_no(d: Draw) -> Exchange:
    word = d.pick(
        (
            "yes",
            "no",
            "ok",
            "hello",
            "hi",
            "bye",
            "please",
            "thank you",
            "goodbye",
            "pyllm",
            d.pick(PLAIN_WORDS),
            d.invented(),
        )
    )
    question = d.asked(
        "{Say|Answer|Answer with|Just say|Only say|Reply with|Please just say} <q><w><q>{.|}",
        w=word,
        q=d.pick(("", '"')),
    )
    return _one(question, word)


def _capital_letters(d: Draw) -> Exchange:
    word = d.pick(PLAIN_WORDS)
    question = d.asked(
        "{Write <q><w><q> in {capital letters|capitals|upper case|uppercase}|Make <q><w><q> {upper case|uppercase}|Uppercase <q><w><q>}{.|}",
        w=word, q=d.pick(("", '"')),
    )  # fmt: skip
    return _one(question, word.upper())


def _replace(d: Draw) -> Exchange:
    one, two, place = d.pick(ANIMALS), d.pick(ANIMALS), d.pick(CITIES)
    question = d.text(
        'Replace {the word |}{<one>|"<one>"} {with|by} {<two>|"<two>"}: The <one> lives in <p>.',
        one=one,
        two=two,
        p=place,
    )
    return _one(question, f"The {two} lives in {place}.")
