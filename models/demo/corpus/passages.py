"""Questions answered from a text in the prompt, and texts that do not say."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Check, Exchange
from .draw import Draw
from .words import (
    ANIMALS,
    COLOURS,
    DAYS,
    FOODS,
    HOBBIES,
    JOBS,
    MONTHS,
    OBJECTS,
    PETS,
    PLAIN_WORDS,
    THINGS,
)

# attribute: (sentence, question, answer); <s> is the subject, <v> the value.
Row = tuple[str, str, str]
PERSON: dict[str, Row] = {
    "city": ("<s> {lives in|comes from|has a house in} <v>.", "{Where does <s> live|In which city does <s> live|Where is <s>'s home}?", "<s> lives in <v>."),
    "job": ("<s> {works as|is} <av>.", "{What is <s>'s job|What does <s> do|What is <s>'s profession|What does <s> work as}?", "<s> is <av>."),
    "age": ("<s> is <v> years old.", "{How old is <s>|What is <s>'s age|What age is <s>}?", "<s> is <v> years old."),
    "pet": ("<s> has <av> {called|named} <w>.", "{What pet does <s> have|What animal does <s> have|Which pet does <s> have}?", "<s> has <av>."),
    "food": ("<s> {likes|loves} {|to eat }<v>.", "{What does <s> like to eat|What food does <s> like|What is <s>'s favourite food}?", "<s> likes <v>."),
    "hobby": ("{In the evening|On Sundays|Every weekend}, <s> {goes|enjoys} <v>.", "{What is <s>'s hobby|What does <s> do {in the evening|on Sundays|every weekend}}?", "<s>'s hobby is <v>."),
    "object": ("<s> {bought|owns|has} a <c> <v>.", "{What did <s> buy|What does <s> own|What did <s> get}?", "<s> has a <c> <v>."),
    "colour": ("<s>'s {car|house|coat|bicycle} is <v>.", "{What colour is <s>'s <n>|Which colour is <s>'s <n>}?", "<s>'s <n> is <v>."),
    "count": ("<s> has <v> <t>.", "{How many <t> does <s> have|How many <t> has <s>}?", "<s> has <v> <t>."),
    "friend": ("<s>'s best friend is <v>.", "{Who is <s>'s best friend|Who is the best friend of <s>|What is the name of <s>'s best friend}?", "<s>'s best friend is <v>."),
}  # fmt: skip
EVENT: dict[str, Row] = {
    "place": ("{It takes place in|The place is|It will be held in} <v>.", "{Where is the <s>|Where does the <s> take place|Where will the <s> be held}?", "The <s> is in <v>."),
    "day": ("{It is|It starts} on <v>.", "{When is the <s>|On which day is the <s>|What day is the <s>}?", "The <s> is on <v>."),
    "time": ("{The doors open|It begins|It starts} at <v>.", "{What time does the <s> {begin|start}|At what time does the <s> {begin|start}}?", "The <s> begins at <v>."),
    "price": ("{A ticket costs|The price is|Tickets cost} <v> <m>.", "{How much {is|does} a ticket{| cost}|What does a ticket cost|What is the price of a ticket}?", "A ticket costs <v> <m>."),
    "host": ("{It is organised by|The organiser is|It is run by} <v>.", "{Who organises the <s>|Who is the organiser|Who runs the <s>}?", "<v> organises the <s>."),
    "guests": ("{About|Around|} <v> {guests|people|visitors} are expected.", "{How many <g> are expected|How many people are expected}?", "<v> <g> are expected."),
}  # fmt: skip
TOWN: dict[str, Row] = {
    "river": ("{The town|It} lies on the river <v>.", "{On which river does <s> lie|Which river is <s> on|What river does <s> lie on}?", "<s> lies on the river <v>."),
    "mayor": ("{Its mayor is|The mayor is called|The mayor is} <v>.", "{Who is the mayor of <s>|Who is the mayor|What is the mayor's name}?", "The mayor of <s> is <v>."),
    "people": ("{It has|The town has} <v> {people|inhabitants}.", "{How many people live in <s>|What is the population of <s>|How many inhabitants does <s> have}?", "<s> has <v> inhabitants."),
    "known": ("{It is known for|It is famous for its} <v>.", "{What is <s> known for|What is <s> famous for}?", "<s> is known for <v>."),
    "bridge": ("{The old bridge was built in|Its church was built in|The tower was built in} <v>.", "{When was the <b> built|In which year was the <b> built}?", "The <b> was built in <v>."),
}  # fmt: skip
_VERBS = (
    ("sit", "sat"),
    ("sleep", "slept"),
    ("wait", "waited"),
    ("hide", "hid"),
    ("stand", "stood"),
    ("play", "played"),
    ("work", "worked"),
    ("sing", "sang"),
)
_DEEDS = (
    ("find", "found"),
    ("buy", "bought"),
    ("see", "saw"),
    ("lose", "lost"),
    ("take", "took"),
    ("carry", "carried"),
    ("break", "broke"),
    ("paint", "painted"),
    ("eat", "ate"),
)
_UNSAID = "The text does not say."


def passage(d: Draw) -> Exchange:
    sentences, asked = d.pick((_people, _people, _event, _town, _deeds, _ages))(d)
    text = (" " if d.chance(0.85) else "\n").join(sentences)
    question, answer, short = d.pick(asked)
    if d.chance(0.14):
        question, answer, short = _unanswerable(d, text)
    question = d.asked("{<q>|<q>|<q>|<q2>}", q=question, q2=question[0].lower() + question[1:])
    prompt = d.text(
        "{<t>\n\n<q>|<t> <q>|<t>\n<q>|Text: <t>\nQuestion: <q>|Text: <t>\n\nQuestion: <q>|Passage: <t>\n\nQuestion: <q>|Read this {text|"
        "passage}{:|.} <t>\n\n<q>|{Answer|Please answer} {the question |}{from|using} the text. <t>\n\n<q>|Context: <t>\nQuestion: <q>\nAnswer:|"
        "Here is a text: <t> {My question|Question}: <q>|Question: <q>\nText: <t>|<q>\n\n<t>|\"<t>\"\n\n<q>|Use {the|this} text to answer. "
        "<t>\n<q>|<q> {Text|Context}: <t>}",
        t=text, q=question,
    )  # fmt: skip
    return Exchange(prompt, answer, Check("exact", (answer,)), short)


Asked = list[tuple[str, str, str]]


def _fact(d: Draw, row: Row, slots: dict[str, object]) -> tuple[str, tuple[str, str, str]]:
    sentence, question, answer = row
    return d.text(sentence, **slots), (
        d.text(question, **slots),
        d.text(answer, **slots),
        str(slots["v"]),
    )


def _deeds(d: Draw) -> tuple[list[str], Asked]:
    """Who did what where: "The cat sat on the mat."."""
    sentences, asked = [], []
    for _ in range(d.between(1, 4)):
        who = d.pick(
            (f"the {d.pick(ANIMALS)}", d.name(), f"the {d.pick(JOBS)}", f"the {d.invented()}")
        )
        noun = d.pick(PLAIN_WORDS) if d.chance(0.8) else d.invented()
        if d.chance(0.6):
            verb, past = d.pick(_VERBS)
            where = f"{d.pick(('on', 'in', 'under', 'behind', 'near', 'beside'))} the {noun}"
            sentences.append(f"{who} {past} {where}.")
            asked.append(
                (
                    d.text("{Where did <w> <v>|Where was <w>}?", w=who, v=verb),
                    f"{who} {past} {where}.",
                    where,
                )
            )
            continue
        verb, past = d.pick(_DEEDS)
        sentences.append(f"{who} {past} the {noun}.")
        asked.append(
            (d.text("What did <w> <v>?", w=who, v=verb), f"{who} {past} the {noun}.", f"the {noun}")
        )
        asked.append((d.text("Who <p> the <n>?", p=past, n=noun), f"{who} {past} the {noun}.", who))
    if len({s.split()[-1] for s in sentences}) < len(sentences) or len(
        {s[:9] for s in sentences}
    ) < len(sentences):
        return _deeds(d)  # a question would have two answers
    return [_capital(s) for s in sentences], [(q, _capital(a), s) for q, a, s in asked]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _ages(d: Draw) -> tuple[list[str], Asked]:
    one, two = d.names(2)
    a, b = d.sample(range(3, 99), 2)
    kind = d.pick(("old", "tall"))
    older, younger = ("older", "younger") if kind == "old" else ("taller", "smaller")
    unit = "years old" if kind == "old" else "cm tall"
    a, b = (a, b) if kind == "old" else (a + 100, b + 100)
    first, last = (one, two) if a > b else (two, one)
    said = d.text(
        "{<o> is <a> <u> and <t> is <b>.|<o> is <a> <u>. <t> is <b> <u>.|<o> is <a> <u>, <t> is <b>.}",
        o=one,
        t=two,
        a=a,
        b=b,
        u=unit,
    )
    asked = [
        (f"Who is {older}?", f"{first} is {older}.", first),
        (f"Who is {younger}?", f"{last} is {younger}.", last),
    ]
    if kind == "old":
        asked.append((f"How old is {two}?", f"{two} is {b} years old.", str(b)))
    return [said], asked


def _people(d: Draw) -> tuple[list[str], Asked]:
    sentences, asked = [], []
    for name in d.names(d.pick((1, 1, 2, 2, 3))):
        for key in d.sample(list(PERSON), d.between(1, 4)):
            sentence, question = _person_fact(d, name, key)
            sentences.append(sentence)
            asked.append(question)
    if d.chance(0.3):
        d.rng.shuffle(sentences)
    return sentences, asked


def _person_fact(d: Draw, name: str, key: str) -> tuple[str, tuple[str, str, str]]:
    value = {
        "city": d.city, "job": lambda: d.pick(JOBS), "age": lambda: d.between(3, 99), "pet": lambda: d.pick(PETS),
        "food": lambda: d.pick(FOODS), "hobby": lambda: d.pick(HOBBIES), "object": lambda: d.pick(OBJECTS),
        "colour": lambda: d.pick(COLOURS), "count": lambda: d.between(2, 99), "friend": d.name,
    }[key]()  # fmt: skip
    noun = d.pick(("car", "house", "coat", "bicycle"))
    slots: dict[str, object] = {
        "s": name, "v": value, "av": f"{'an' if str(value)[0] in 'aeiou' else 'a'} {value}", "w": d.name(), "c": d.pick(COLOURS),
        "n": noun, "t": d.pick(THINGS),
    }  # fmt: skip
    row = PERSON[key]
    if key == "colour":
        row = (f"<s>'s {noun} is <v>.", row[1], row[2])
    return _fact(d, row, slots)


def _event(d: Draw) -> tuple[list[str], Asked]:
    subject = d.pick(
        (
            "concert",
            "festival",
            "market",
            "meeting",
            "party",
            "fair",
            "race",
            "exhibition",
            "lecture",
            "wedding",
            "match",
        )
    )
    guests = d.pick(("guests", "people", "visitors"))
    sentences, asked = [d.text("{The|Soon there is a|There will be a} <s>.", s=subject)], []
    if sentences[0].startswith("The "):
        sentences = [f"The {subject} is for everyone."]
    values: dict[str, object] = {
        "place": d.city(), "day": d.pick(DAYS) if d.chance(0.5) else f"{d.pick(MONTHS)} {d.between(1, 28)}",
        "time": f"{d.between(1, 23)}:{d.pick(('00', '15', '30', '45'))}", "price": d.between(2, 99), "host": d.name(),
        "guests": d.between(20, 900),
    }  # fmt: skip
    money = d.pick(("euros", "dollars", "pounds"))
    for key in d.sample(list(EVENT), d.between(2, 5)):
        sentence, question, answer = EVENT[key]
        if key == "guests":
            sentence = sentence.replace("{guests|people|visitors}", guests)
        said, asking = _fact(
            d,
            (sentence, question, answer),
            {"s": subject, "v": values[key], "m": money, "g": guests},
        )
        sentences.append(said[0].upper() + said[1:] if not said.startswith(" ") else said[1:])
        asked.append(asking)
    return sentences, asked


def _town(d: Draw) -> tuple[list[str], Asked]:
    subject = d.city()
    built = d.pick(("bridge", "church", "tower"))
    sentences, asked = (
        [f"{subject} is a {d.pick(('small', 'quiet', 'lovely', 'busy', 'old'))} town."],
        [],
    )
    values: dict[str, object] = {
        "river": d.invented().capitalize(), "mayor": d.name(), "people": d.between(100, 99_999),
        "known": d.pick([*FOODS, "old walls", "gardens", "market", "clocks", "glass", "music", "festivals"]), "bridge": d.between(1100, 2020),
    }  # fmt: skip
    sentence_of = {
        "bridge": "The old bridge was built in <v>.",
        "church": "Its church was built in <v>.",
        "tower": "The tower was built in <v>.",
    }
    for key in d.sample(list(TOWN), d.between(2, 4)):
        sentence, question, answer = TOWN[key]
        if key == "bridge":
            sentence = sentence_of[built]
        said, asking = _fact(
            d, (sentence, question, answer), {"s": subject, "v": values[key], "b": built}
        )
        sentences.append(said)
        asked.append(asking)
    return sentences, asked


def _unanswerable(d: Draw, text: str) -> tuple[str, str, str]:
    """A question about someone, or something, that the text does not mention."""
    while True:
        name = d.name()
        if name not in text:
            break
    question = d.text(d.pick(list(PERSON.values()))[1], s=name, n="car", t=d.pick(THINGS))
    if d.chance(0.3):
        question = d.text(
            "{What is the weather like|Who is the king|Why is that|What is the phone number|How tall is the tower}?"
        )
    return question, _UNSAID, _UNSAID
