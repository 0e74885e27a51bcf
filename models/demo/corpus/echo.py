"""Saying what one is told to say: repeating, greeting others, completing, filling small forms."""

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


def _repeat(d: Draw) -> Exchange:
    text = _sentence(d)
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
    word = d.pick(("yes", "no", "ok", "hello", "thank you", "goodbye", "pyllm"))
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
